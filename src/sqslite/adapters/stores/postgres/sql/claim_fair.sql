WITH heads AS MATERIALIZED (
    SELECT head.id
    FROM unnest($7::text[]) WITH ORDINALITY AS looked_at (group_id, place)
    CROSS JOIN LATERAL (
        SELECT id, row_number() OVER (ORDER BY not_before, id) AS rank
        FROM (
            SELECT m.id, m.not_before
            FROM sqslite.messages AS m
            WHERE
                m.partition_id = $1 AND m.group_id = looked_at.group_id AND m.lease_until IS NULL
                AND m.not_before <= {now} AND (m.expires_at IS NULL OR m.expires_at > {now})
            ORDER BY m.not_before, m.id
            LIMIT $6
        ) AS ready
    ) AS head
    ORDER BY head.rank, looked_at.place
    LIMIT $2
),
locked AS MATERIALIZED (
    SELECT ctid AS spot, not_before, id
    FROM sqslite.messages
    WHERE partition_id = $1 AND id = ANY (ARRAY(SELECT id FROM heads)) AND num_nulls(lease_until) > 0
    FOR UPDATE SKIP LOCKED
),
numbered AS MATERIALIZED (
    SELECT spot, (row_number() OVER (ORDER BY not_before, id))::integer AS number
    FROM locked
)
UPDATE sqslite.messages AS m
SET
    lease_until = {now} + $3::bigint * interval '1 millisecond',
    claimed_at = {now},
    delivery_count = m.delivery_count + 1,
    attempt_id = $5::text,
    receipt_secret = substring($4::bytea FROM (numbered.number - 1) * 16 + 1 FOR 16)
FROM numbered
WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM numbered)) AND m.ctid = numbered.spot
RETURNING {message}, m.receipt_secret
