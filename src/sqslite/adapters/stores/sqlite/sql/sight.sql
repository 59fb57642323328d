SELECT
    id, body, body_kind, attributes, enqueued_at, not_before, coalesce(first_claimed_at, claimed_at) AS first_claimed_at,
    lease_until, expires_at, delivery_count, deliveries_before, max_retries, dlq, trace_id, group_id, dedup_id,
    last_error, origin_queue, origin_delivery_count,
    partition_id, name, settings, paused, created_at, changed_at, purged_at
FROM messages
JOIN queues USING (partition_id)
WHERE id = :id
