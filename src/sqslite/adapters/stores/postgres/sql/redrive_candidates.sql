SELECT {message}
FROM sqslite.messages AS m
WHERE
    m.partition_id = $1 AND m.lease_until IS NULL AND m.not_before <= {now} AND m.not_before <= $4
    AND (m.not_before, m.id) > ($2, $3)
    AND (m.expires_at IS NULL OR m.expires_at > {now})
    AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
ORDER BY m.not_before, m.id
LIMIT $5
