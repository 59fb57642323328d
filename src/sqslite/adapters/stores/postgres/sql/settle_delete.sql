WITH unchanged AS MATERIALIZED (
    SELECT m.ctid AS spot
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
gone AS (
    DELETE FROM sqslite.messages AS m
    USING unchanged
    WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM unchanged)) AND m.ctid = unchanged.spot
    RETURNING m.id, m.group_id
),
freed AS MATERIALIZED (
    SELECT g.group_id
    FROM sqslite.message_groups AS g
    WHERE g.partition_id = $1 AND g.group_id = ANY (ARRAY(SELECT group_id FROM gone WHERE group_id IS NOT NULL))
    ORDER BY g.group_id
    FOR NO KEY UPDATE
),
woken AS (
    UPDATE sqslite.message_groups AS g
    SET look_at = {now}
    WHERE g.partition_id = $1 AND g.group_id = ANY (ARRAY(SELECT group_id FROM freed))
)
SELECT id
FROM gone
