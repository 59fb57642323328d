WITH unchanged AS MATERIALIZED (
    SELECT m.ctid AS spot
    FROM unnest($2::bigint[], $3::bytea[], $4::timestamptz[]) AS settled (id, receipt_secret, lease_until)
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
gone AS (
    DELETE FROM sqslite.messages AS m
    WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM unchanged))
    RETURNING m.id, m.receipt_secret, m.group_id
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
SELECT id, receipt_secret
FROM gone
