SELECT partition_id
FROM sqslite.dropped_partitions
ORDER BY dropped_at, partition_id
LIMIT $1
