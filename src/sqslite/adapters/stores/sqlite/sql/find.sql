SELECT name, partition_id, settings
FROM queues
WHERE name = :name
