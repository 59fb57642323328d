DELETE FROM message_groups
WHERE rowid IN (
    SELECT message_groups.rowid
    FROM dropped_partitions
    CROSS JOIN message_groups
    WHERE message_groups.partition_id = dropped_partitions.partition_id
    LIMIT :limit
)
RETURNING 1
