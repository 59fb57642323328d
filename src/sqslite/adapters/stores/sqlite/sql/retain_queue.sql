SELECT coalesce(json_extract(settings, '$.retention_ms'), :default_ms) AS kept_ms
FROM queues
WHERE partition_id = :partition_id
