WITH found AS MATERIALIZED (
    SELECT
        looked_at.group_id,
        looked_at.turn,
        -- Not EXISTS: the planner would rather read what is there of all groups at once.
        (
            SELECT count(*)
            FROM (
                SELECT
                FROM sqslite.messages AS m
                WHERE
                    m.partition_id = $1 AND m.group_id = looked_at.group_id AND m.delivery_count > 0
                    AND m.lease_until IS NOT NULL
                LIMIT 1
            ) AS one
        ) > 0 AS leased,
        (
            SELECT count(*)
            FROM (
                SELECT
                FROM sqslite.messages AS m
                WHERE m.partition_id = $1 AND m.group_id = looked_at.group_id AND m.lease_until IS NULL
                LIMIT 1
            ) AS one
        ) > 0 AS waiting,
        (
            SELECT m.not_before
            FROM sqslite.messages AS m
            WHERE
                m.partition_id = $1 AND m.group_id = looked_at.group_id AND m.lease_until IS NULL
                AND (m.expires_at IS NULL OR m.expires_at > {now})
            ORDER BY m.not_before, m.id
            LIMIT 1
        ) AS next_at,
        (
            SELECT max(least(m.not_before, m.expires_at))
            FROM sqslite.messages AS m
            WHERE
                $4 AND m.partition_id = $1 AND m.group_id = looked_at.group_id AND m.delivery_count > 0
                AND m.lease_until IS NULL AND m.not_before > {now}
                AND (m.expires_at IS NULL OR m.expires_at > {now})
        ) AS retry_at
    FROM unnest($2::text[], $3::bigint[]) AS looked_at (group_id, turn)
),
empty AS MATERIALIZED (
    SELECT g.group_id
    FROM sqslite.message_groups AS g
    INNER JOIN found ON found.group_id = g.group_id
    WHERE g.partition_id = $1 AND g.group_id = ANY ($2::text[]) AND NOT found.leased AND NOT found.waiting
    -- A transaction that is enqueuing to the group keeps its row.
    FOR UPDATE OF g SKIP LOCKED
),
emptied AS (
    DELETE FROM sqslite.message_groups AS g
    WHERE g.partition_id = $1 AND g.group_id = ANY (ARRAY(SELECT group_id FROM empty))
)
UPDATE sqslite.message_groups AS g
SET
    turn = CASE WHEN found.turn > 0 THEN found.turn ELSE g.turn END,
    -- A FIFO group whose messages are leased is looked at again when one of them is acked or settled.
    look_at = CASE
        WHEN $4 AND found.leased THEN NULL
        WHEN found.leased OR found.waiting THEN coalesce(found.retry_at, found.next_at)
        ELSE {now} + interval '10 seconds'
    END
FROM found
WHERE
    g.partition_id = $1 AND g.group_id = ANY ($2::text[]) AND g.group_id = found.group_id
    AND g.group_id <> ALL (ARRAY(SELECT group_id FROM empty))
RETURNING g.group_id
