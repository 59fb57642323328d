SELECT name, partition_id, settings, paused, created_at, changed_at, purged_at
FROM queues
WHERE name > :after
  AND substr(name, 1, length(:prefix)) = :prefix
ORDER BY name
LIMIT :limit
