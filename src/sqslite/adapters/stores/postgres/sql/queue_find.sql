SELECT name, partition_id, settings::text, paused
FROM sqslite.queues
WHERE name = $1
