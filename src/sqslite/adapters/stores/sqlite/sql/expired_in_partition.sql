SELECT
    id, partition_id, receipt_secret, lease_until, expires_at, delivery_count, max_retries, dlq,
    (SELECT name FROM queues WHERE queues.partition_id = messages.partition_id) AS queue
FROM messages INDEXED BY messages_in_flight
WHERE partition_id = :partition_id
  AND lease_until IS NOT NULL
  AND lease_until <= :now
ORDER BY lease_until
LIMIT :limit
