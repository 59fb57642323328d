SELECT {message}, m.receipt_secret
FROM sqslite.messages AS m
WHERE
    m.partition_id = $1 AND m.attempt_id = $2 AND num_nonnulls(m.lease_until) > 0
    AND m.claimed_at > {now} - $3::bigint * interval '1 millisecond'
    AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1 AND NOT paused)
