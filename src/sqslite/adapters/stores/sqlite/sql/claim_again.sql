SELECT
    id, body, body_kind, attributes, enqueued_at, not_before, coalesce(first_claimed_at, claimed_at) AS first_claimed_at,
    lease_until, expires_at, delivery_count, deliveries_before, max_retries, dlq, trace_id, group_id, dedup_id,
    last_error, origin_queue, origin_delivery_count,
    partition_id, receipt_secret
FROM messages INDEXED BY messages_of_attempt
WHERE partition_id = :partition_id
  AND attempt_id = :attempt_id
  AND lease_until IS NOT NULL
  AND claimed_at > :since
