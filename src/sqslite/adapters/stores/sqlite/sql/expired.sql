-- Partition by partition: only so does "every partition" stay on the index of leases.
SELECT
    messages.id, messages.partition_id, messages.receipt_secret, messages.lease_until,
    messages.expires_at, messages.delivery_count, messages.max_retries, messages.dlq, queues.name AS queue
FROM queues
CROSS JOIN messages INDEXED BY messages_in_flight
WHERE messages.partition_id = queues.partition_id
  AND messages.lease_until IS NOT NULL
  AND messages.lease_until <= :now
ORDER BY queues.partition_id, messages.lease_until
LIMIT :limit
