SELECT partition_id, before_ms, after_id
FROM retention_changes
WHERE changed_at <= :changed_by
ORDER BY changed_at
LIMIT 1
