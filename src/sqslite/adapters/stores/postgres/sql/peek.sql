SELECT
    id, body, body_kind, enqueued_at, not_before, lease_until, delivery_count, max_retries, dlq, trace_id, last_error,
    origin_queue, origin_delivery_count
FROM sqslite.messages
WHERE partition_id = $1 AND id > $2
ORDER BY id
LIMIT $3
