WITH locked AS MATERIALIZED (
    SELECT group_id, turn
    FROM sqslite.message_groups
    WHERE
        partition_id = $1 AND look_at <= {now} AND group_id IS DISTINCT FROM $3::text
        AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1 AND NOT paused)
    ORDER BY turn
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT
    ARRAY(SELECT group_id FROM locked ORDER BY turn),
    ARRAY(SELECT nextval('sqslite.turns') FROM locked),
    (
        SELECT group_id
        FROM sqslite.message_groups
        WHERE
            partition_id = $1 AND look_at <= {now} AND group_id IS DISTINCT FROM $3::text
            AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1 AND NOT paused)
        ORDER BY turn
        LIMIT 1
    )
