WITH gone AS (
    DELETE FROM sqslite.messages AS m
    WHERE
        m.partition_id = $1
        AND m.id = ANY ($2::bigint[])
        -- As in ack.sql.
        AND m.receipt_secret = substring($3::bytea FROM (width_bucket(m.id, $2::bigint[]) - 1) * 16 + 1 FOR 16)
        AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
    RETURNING m.id, m.claimed_at, m.group_id
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
SELECT id, claimed_at
FROM gone
