DELETE FROM dedup
WHERE (partition_id, dedup_id) IN (
    SELECT partition_id, dedup_id
    FROM dedup INDEXED BY dedup_expiring
    WHERE expires_at <= :now
    LIMIT :limit
)
RETURNING 1
