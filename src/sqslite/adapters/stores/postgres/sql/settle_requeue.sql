WITH unchanged AS MATERIALIZED (
    SELECT
        m.ctid AS spot,
        ($5::timestamptz[])[settled.place] AS not_before,
        ($6::text[])[settled.place] AS error
    FROM sqslite.messages AS m
    CROSS JOIN LATERAL (SELECT width_bucket(m.id, $2::bigint[]) AS place) AS settled
    WHERE
        m.partition_id = $1 AND m.id = ANY ($2::bigint[])
        -- Secrets as in ack.sql; all else lies in the order of the ids, too.
        AND m.receipt_secret = substring($3::bytea FROM (settled.place - 1) * 16 + 1 FOR 16)
        AND m.lease_until IS NOT DISTINCT FROM ($4::timestamptz[])[settled.place]
        AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
    -- Whoever has it locked is settling or acking it, maybe in a long transaction of his own: it is left for the next
    -- sweep, so that the others of the page need not wait.
    ORDER BY m.id
    FOR UPDATE OF m SKIP LOCKED
),
requeued AS (
    UPDATE sqslite.messages AS m
    SET
        lease_until = NULL,
        not_before = unchanged.not_before,
        first_claimed_at = coalesce(m.first_claimed_at, m.claimed_at),
        last_error = coalesce(unchanged.error, m.last_error)
    FROM unchanged
    WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM unchanged)) AND m.ctid = unchanged.spot
    RETURNING m.id, m.group_id, m.not_before, m.expires_at
),
due AS MATERIALIZED (
    -- Once its retention is over it blocks its group no longer.
    SELECT group_id, min(least(not_before, expires_at)) AS look_at
    FROM requeued
    WHERE group_id IS NOT NULL
    GROUP BY group_id
),
freed AS MATERIALIZED (
    SELECT g.group_id
    FROM sqslite.message_groups AS g
    WHERE g.partition_id = $1 AND g.group_id = ANY (ARRAY(SELECT group_id FROM due))
    ORDER BY g.group_id
    FOR NO KEY UPDATE
),
woken AS (
    UPDATE sqslite.message_groups AS g
    SET look_at = least(g.look_at, due.look_at)
    FROM due
    WHERE
        g.partition_id = $1 AND g.group_id = ANY (ARRAY(SELECT group_id FROM freed)) AND g.group_id = due.group_id
)
SELECT id
FROM requeued
