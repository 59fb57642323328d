SELECT name, partition_id, settings
FROM queues
WHERE name > :after
ORDER BY name
LIMIT :limit
