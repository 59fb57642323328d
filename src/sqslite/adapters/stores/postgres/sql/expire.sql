WITH past AS MATERIALIZED (
    SELECT id, partition_id
    FROM sqslite.messages
    WHERE lease_until IS NULL AND expires_at <= {now}
    ORDER BY expires_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM sqslite.messages AS m
    USING past
    WHERE m.id = ANY (ARRAY(SELECT id FROM past)) AND m.id = past.id AND m.partition_id = past.partition_id
    RETURNING m.partition_id, m.group_id
),
freed AS MATERIALIZED (
    SELECT g.partition_id, g.group_id
    FROM sqslite.message_groups AS g
    INNER JOIN (SELECT DISTINCT partition_id, group_id FROM gone WHERE group_id IS NOT NULL) AS left_behind
        ON left_behind.partition_id = g.partition_id AND left_behind.group_id = g.group_id
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    WHERE
        g.partition_id = ANY (ARRAY(SELECT DISTINCT partition_id FROM gone WHERE group_id IS NOT NULL))
        AND g.group_id = ANY (ARRAY(SELECT DISTINCT group_id FROM gone WHERE group_id IS NOT NULL))
    ORDER BY g.partition_id, g.group_id
    FOR NO KEY UPDATE OF g
),
woken AS (
    UPDATE sqslite.message_groups AS g
    SET look_at = {now}
    FROM freed
    WHERE g.partition_id = freed.partition_id AND g.group_id = freed.group_id
)
SELECT count(*)
FROM gone
