UPDATE messages
SET expires_at = enqueued_at + nullif(:kept_ms, 0) * 1000
WHERE id > :after_id
  AND id <= :last_id
  AND partition_id = :partition_id
  AND expires_at IS enqueued_at + nullif(:before_ms, 0) * 1000
