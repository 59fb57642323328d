DELETE FROM dedup
WHERE rowid IN (
    SELECT dedup.rowid
    FROM dropped_partitions
    CROSS JOIN dedup
    WHERE dedup.partition_id = dropped_partitions.partition_id
    LIMIT :limit
)
RETURNING 1
