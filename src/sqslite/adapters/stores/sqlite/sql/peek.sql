SELECT
    id, body, body_kind, enqueued_at, not_before, lease_until, delivery_count, max_retries, dlq, trace_id,
    last_error, origin_queue, origin_delivery_count
FROM messages
WHERE partition_id = :partition_id
  AND id > :after_id
ORDER BY id
LIMIT :limit
