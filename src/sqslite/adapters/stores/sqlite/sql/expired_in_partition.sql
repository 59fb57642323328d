SELECT
    messages.id, messages.partition_id, messages.receipt_secret, messages.lease_until,
    messages.delivery_count, messages.max_retries, messages.dlq, queues.name AS queue
FROM queues
CROSS JOIN messages INDEXED BY messages_in_flight
WHERE queues.partition_id = :partition_id
  AND messages.partition_id = :partition_id
  AND messages.lease_until IS NOT NULL
  AND messages.lease_until <= :now
ORDER BY messages.lease_until
LIMIT :limit
