SELECT {now}, ended.*
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT
        m.partition_id, q.name, m.id, m.receipt_secret, m.lease_until, m.delivery_count, m.max_retries, m.dlq,
        m.expires_at
    FROM sqslite.messages AS m
    INNER JOIN sqslite.queues AS q ON q.partition_id = m.partition_id
    WHERE m.partition_id = $1 AND q.partition_id = $1 AND m.lease_until <= {now}
    ORDER BY m.lease_until
    LIMIT $2
) AS ended ON true
