WITH heads AS MATERIALIZED (
    SELECT looked_at.group_id, head.id
    FROM unnest($7::text[]) WITH ORDINALITY AS looked_at (group_id, place)
    -- Not EXISTS: the planner would rather read what is there of all groups at once.
    CROSS JOIN LATERAL (
        SELECT count(*) AS present
        FROM (
            SELECT
            FROM sqslite.messages AS m
            WHERE
                m.partition_id = $1 AND m.group_id = looked_at.group_id AND m.delivery_count > 0
                -- What the same claim has taken before keeps it from nothing.
                AND m.id <> ALL ($8::bigint[])
                AND (
                    m.lease_until IS NOT NULL
                    OR m.not_before > {now} AND (m.expires_at IS NULL OR m.expires_at > {now})
                )
            LIMIT 1
        ) AS one
    ) AS blocker
    CROSS JOIN LATERAL (
        SELECT id, row_number() OVER (ORDER BY id) AS rank
        FROM (
            SELECT m.id
            FROM sqslite.messages AS m
            WHERE
                m.partition_id = $1 AND m.group_id = looked_at.group_id AND m.lease_until IS NULL
                AND blocker.present = 0 AND m.not_before <= {now} AND (m.expires_at IS NULL OR m.expires_at > {now})
            ORDER BY m.id
            LIMIT $6
        ) AS ready
    ) AS head
    ORDER BY CASE WHEN $9::boolean THEN looked_at.place END, head.rank, looked_at.place
    LIMIT $2
),
locked AS MATERIALIZED (
    SELECT ctid AS spot, id, group_id
    FROM sqslite.messages
    WHERE partition_id = $1 AND id = ANY (ARRAY(SELECT id FROM heads)) AND num_nulls(lease_until) > 0
    FOR UPDATE SKIP LOCKED
),
missed AS MATERIALIZED (
    -- One that could not be locked is being acked. Unless that fails; so none behind it is taken yet.
    SELECT group_id, id FROM heads
    EXCEPT
    SELECT group_id, id FROM locked
),
numbered AS MATERIALIZED (
    SELECT spot, (row_number() OVER (ORDER BY id))::integer AS number
    FROM locked
    WHERE NOT EXISTS (SELECT FROM missed WHERE missed.group_id = locked.group_id AND missed.id < locked.id)
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
