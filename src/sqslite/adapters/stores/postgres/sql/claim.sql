WITH picked AS MATERIALIZED (
    SELECT ctid AS spot, not_before, id
    FROM sqslite.messages
    WHERE
        partition_id = $1 AND lease_until IS NULL AND not_before >= $5 AND not_before <= {now}
        AND (expires_at IS NULL OR expires_at > {now})
        AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1 AND NOT paused)
    ORDER BY not_before, id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
),
numbered AS MATERIALIZED (
    SELECT spot, (row_number() OVER (ORDER BY not_before, id))::integer AS number
    FROM picked
)
UPDATE sqslite.messages AS m
SET
    lease_until = {now} + $3::bigint * interval '1 millisecond',
    claimed_at = {now},
    delivery_count = m.delivery_count + 1,
    attempt_id = $6::text,
    receipt_secret = substring($4::bytea FROM (numbered.number - 1) * 16 + 1 FOR 16)
FROM numbered
WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM numbered)) AND m.ctid = numbered.spot
RETURNING {message}, m.receipt_secret
