WITH unchanged AS MATERIALIZED (
    SELECT m.ctid AS spot, settled.not_before, settled.error
    FROM unnest($2::bigint[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::text[])
        AS settled (id, receipt_secret, lease_until, not_before, error)
    INNER JOIN sqslite.messages AS m
        ON m.id = settled.id AND m.receipt_secret = settled.receipt_secret AND m.lease_until = settled.lease_until
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    WHERE
        m.partition_id = $1 AND m.id = ANY ($2::bigint[])
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
    RETURNING m.id, m.receipt_secret, m.group_id, m.not_before, m.expires_at
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
SELECT id, receipt_secret
FROM requeued
