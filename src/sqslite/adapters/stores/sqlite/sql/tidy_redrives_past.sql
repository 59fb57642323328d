DELETE FROM redrives
WHERE id IN (
    SELECT id
    FROM redrives INDEXED BY redrives_ended
    WHERE ended_at IS NOT NULL AND ended_at <= :ended_before
    LIMIT :limit
)
RETURNING 1
