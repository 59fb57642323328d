SELECT
    m.partition_id, q.name, m.id, m.receipt_secret, m.lease_until, m.delivery_count, m.max_retries, m.dlq,
    m.expires_at
FROM sqslite.messages AS m
INNER JOIN sqslite.queues AS q ON q.partition_id = m.partition_id
WHERE m.partition_id = $1 AND q.partition_id = $1 AND m.id = ANY ($2::bigint[]) AND num_nonnulls(m.lease_until) > 0
