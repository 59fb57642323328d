DELETE FROM dedup
WHERE (partition_id, dedup_id) IN (
    SELECT dedup.partition_id, dedup_id
    FROM dropped_partitions
    CROSS JOIN dedup
    WHERE dedup.partition_id = dropped_partitions.partition_id
    LIMIT :limit
)
RETURNING 1
