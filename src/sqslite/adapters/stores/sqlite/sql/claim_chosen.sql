UPDATE messages
SET claimed_at     = :now,
    lease_until    = :lease_until,
    delivery_count = delivery_count + 1,
    attempt_id     = :attempt_id,
    receipt_secret = substr(:secrets, chosen.key * :secret_bytes + 1, :secret_bytes)
FROM json_each(:ids) AS chosen
WHERE messages.id = chosen.value
RETURNING
    id, body, body_kind, attributes, enqueued_at, not_before, coalesce(first_claimed_at, claimed_at) AS first_claimed_at,
    lease_until, expires_at, delivery_count, deliveries_before, max_retries, dlq, trace_id, group_id, dedup_id,
    last_error, origin_queue, origin_delivery_count,
    partition_id, receipt_secret
