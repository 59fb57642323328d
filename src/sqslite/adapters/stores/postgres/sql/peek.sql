SELECT
    id, body, body_kind, enqueued_at, not_before, lease_until, delivery_count, max_retries, dlq, trace_id, last_error,
    origin_queue, origin_delivery_count
FROM sqslite.messages
-- Always true, but said this way the planner finds a small queue among large ones through its two indexes.
WHERE partition_id = $1 AND id > $2 AND (lease_until IS NULL OR lease_until IS NOT NULL)
ORDER BY id
LIMIT $3
