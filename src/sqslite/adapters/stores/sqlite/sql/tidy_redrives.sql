DELETE FROM redrives
WHERE id IN (
    SELECT id
    FROM dropped_partitions
    CROSS JOIN redrives INDEXED BY redrives_of_partition
    WHERE redrives.partition_id = dropped_partitions.partition_id
    LIMIT :limit
)
RETURNING 1
