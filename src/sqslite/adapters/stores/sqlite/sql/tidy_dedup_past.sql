DELETE FROM dedup
WHERE rowid IN (
    SELECT dedup.rowid
    FROM dedup INDEXED BY dedup_expiring
    WHERE expires_at <= :now
    LIMIT :limit
)
RETURNING 1
