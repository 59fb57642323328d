UPDATE totals
SET partition_id = (SELECT partition_id FROM queues WHERE name = :name)
WHERE partition_id = :partition_id
