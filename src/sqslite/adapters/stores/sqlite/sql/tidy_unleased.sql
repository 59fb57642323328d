DELETE FROM messages
WHERE id IN (
    SELECT id
    FROM dropped_partitions
    CROSS JOIN messages INDEXED BY messages_ready
    WHERE messages.partition_id = dropped_partitions.partition_id AND lease_until IS NULL
    LIMIT :limit
)
RETURNING 1
