SELECT name, partition_id, settings, paused
FROM queues
WHERE name = :name
