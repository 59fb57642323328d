UPDATE messages
SET claimed_at     = :now,
    lease_until    = :lease_until,
    delivery_count = delivery_count + 1,
    attempt_id     = :attempt_id,
    receipt_secret = substr(:secrets, (due.place - 1) * :secret_bytes + 1, :secret_bytes)
FROM (
    -- Any numbering will do: it only gives each message a secret of its own.
    SELECT id, row_number() OVER () AS place
    FROM (
        SELECT id
        FROM messages INDEXED BY messages_ready
        WHERE partition_id = :partition_id
          AND lease_until IS NULL
          AND not_before <= :now
          AND (expires_at IS NULL OR expires_at > :now)
          AND EXISTS (SELECT 1 FROM queues WHERE queues.partition_id = :partition_id AND NOT queues.paused)
        ORDER BY not_before, id
        LIMIT :limit
    )
) AS due
WHERE messages.id = due.id
RETURNING
    id, body, body_kind, attributes, enqueued_at, not_before, coalesce(first_claimed_at, claimed_at) AS first_claimed_at,
    lease_until, expires_at, delivery_count, deliveries_before, max_retries, dlq, trace_id, group_id, dedup_id,
    last_error, origin_queue, origin_delivery_count,
    partition_id, receipt_secret
