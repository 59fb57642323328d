SELECT name, partition_id, settings, paused, created_at, changed_at, purged_at
FROM queues INDEXED BY queues_by_dlq
WHERE json_extract(settings, '$.dlq') = :dlq
  AND name > :after
ORDER BY name
LIMIT :limit
