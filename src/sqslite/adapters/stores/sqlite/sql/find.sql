SELECT name, partition_id, settings, paused, created_at, changed_at, purged_at
FROM queues
WHERE name = :name
