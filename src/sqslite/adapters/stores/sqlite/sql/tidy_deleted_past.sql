DELETE FROM deleted_queues
WHERE name IN (
    SELECT name
    FROM deleted_queues INDEXED BY deleted_queues_by_time
    WHERE deleted_at <= :deleted_before
    LIMIT :limit
)
RETURNING 1
