SELECT {message}
FROM sqslite.messages AS m
WHERE
    m.partition_id = $1 AND m.lease_until IS NOT NULL
    AND (m.lease_until, m.id) > ($2, $3)
    AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
ORDER BY m.lease_until, m.id
LIMIT $4
