UPDATE messages
SET partition_id          = :target_partition_id,
    grouped               = :grouped,
    group_id              = :group_id,
    not_before            = :now,
    expires_at            = :expires_at,
    origin_queue          = NULL,
    origin_delivery_count = NULL,
    deliveries_before     = deliveries_before + delivery_count,
    delivery_count        = 0,
    dlq                   = :dlq,
    receipt_secret        = NULL,
    attempt_id            = NULL,
    claimed_at            = NULL,
    first_claimed_at      = NULL
WHERE id = :id
