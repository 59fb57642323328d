UPDATE messages
SET partition_id          = :dlq_partition_id,
    grouped               = :grouped,
    group_id              = :group_id,
    lease_until           = NULL,
    not_before            = :not_before,
    expires_at            = CASE WHEN :retention > 0 THEN coalesce(:kept_since, enqueued_at) + :retention END,
    last_error            = coalesce(:error, last_error),
    origin_queue          = :queue,
    origin_delivery_count = delivery_count,
    deliveries_before     = deliveries_before + delivery_count,
    delivery_count        = 0,
    dlq                   = :dlq_kept,
    receipt_secret        = NULL,
    attempt_id            = NULL,
    claimed_at            = NULL,
    first_claimed_at      = coalesce(first_claimed_at, claimed_at)
WHERE id = :id
