DELETE FROM message_groups
WHERE (partition_id, group_id) IN (
    SELECT message_groups.partition_id, group_id
    FROM dropped_partitions
    CROSS JOIN message_groups
    WHERE message_groups.partition_id = dropped_partitions.partition_id
    LIMIT :limit
)
RETURNING 1
