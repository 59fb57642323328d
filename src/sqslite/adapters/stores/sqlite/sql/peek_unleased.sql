SELECT
    id, body, body_kind, attributes, enqueued_at, not_before, coalesce(first_claimed_at, claimed_at) AS first_claimed_at,
    lease_until, expires_at, delivery_count, deliveries_before, max_retries, dlq, trace_id, group_id, dedup_id,
    last_error, origin_queue, origin_delivery_count
FROM messages INDEXED BY messages_ready
WHERE partition_id = :partition_id
  AND lease_until IS NULL
  AND (not_before, id) > (:after_at, :after_id)
  AND not_before <= :until
  AND EXISTS (SELECT 1 FROM queues WHERE queues.partition_id = :partition_id)
ORDER BY not_before, id
LIMIT :limit
