DELETE FROM depths
WHERE partition_id IN (SELECT partition_id FROM dropped_partitions LIMIT :limit)
RETURNING 1
