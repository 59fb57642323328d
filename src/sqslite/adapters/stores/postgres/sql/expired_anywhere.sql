SELECT {now}, ended.*
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT
        q.partition_id, q.name, m.id, m.receipt_secret, m.lease_until, m.delivery_count, m.max_retries, m.dlq,
        m.expires_at
    FROM sqslite.queues AS q
    CROSS JOIN LATERAL (
        SELECT id, receipt_secret, lease_until, delivery_count, max_retries, dlq, expires_at
        FROM sqslite.messages
        WHERE partition_id = q.partition_id AND lease_until <= {now}
        ORDER BY lease_until
        LIMIT $1
    ) AS m
    LIMIT $1
) AS ended ON true
