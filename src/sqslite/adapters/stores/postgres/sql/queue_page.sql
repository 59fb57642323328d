SELECT name, partition_id, settings::text, paused
FROM sqslite.queues
WHERE name > $1 AND starts_with(name, $3)
ORDER BY name
LIMIT $2
