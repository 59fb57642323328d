WITH gone AS (
    DELETE FROM sqslite.messages AS m
    USING unnest($2::bigint[], $3::bytea[]) AS proven (id, receipt_secret)
    WHERE
        m.partition_id = $1
        -- Says no more than the join does, but makes the planner use the key for a batch of any size.
        AND m.id = ANY ($2::bigint[])
        AND m.id = proven.id
        AND m.receipt_secret = proven.receipt_secret
        AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
    RETURNING m.id, m.receipt_secret, m.claimed_at, m.group_id
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
SELECT id, receipt_secret, claimed_at
FROM gone
