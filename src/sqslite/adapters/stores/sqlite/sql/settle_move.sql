UPDATE messages
SET partition_id          = :dlq_partition_id,
    lease_until           = NULL,
    not_before            = :not_before,
    last_error            = coalesce(:error, last_error),
    origin_queue          = :queue,
    origin_delivery_count = delivery_count,
    delivery_count        = 0,
    dlq                   = NULL,
    receipt_secret        = NULL,
    claimed_at            = NULL
WHERE id = :id
