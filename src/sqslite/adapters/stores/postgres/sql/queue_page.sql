SELECT name, partition_id, settings::text
FROM sqslite.queues
WHERE name > $1
ORDER BY name
LIMIT $2
