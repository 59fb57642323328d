WITH sent AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $2::bytea[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::integer[], $8::text[], $9::text[],
        $10::text[]
    ) WITH ORDINALITY
        AS given (body, body_kind, attributes, delay_ms, retention_ms, max_retries, dlq, trace_id, group_id, place)
),
drawn AS MATERIALIZED (
    -- Groups that come new take their turns in the order in which they came.
    SELECT group_id, look_at, nextval('sqslite.turns') AS turn
    FROM (
        SELECT group_id, {now} + min(delay_ms) * interval '1 millisecond' AS look_at
        FROM sent
        GROUP BY group_id
        ORDER BY min(place)
    ) AS came
),
locked AS (
    INSERT INTO sqslite.message_groups AS g (partition_id, group_id, turn, look_at)
    SELECT $1::bigint, group_id, turn, look_at
    FROM drawn
    WHERE EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
    -- Whoever locks several groups locks them in this order, so that they wait for one another and never deadlock.
    ORDER BY group_id COLLATE "C"
    -- To set the key, to what it is, takes the row for itself: so it waits for a transaction that enqueues to the group.
    ON CONFLICT (partition_id, group_id)
    DO UPDATE SET group_id = excluded.group_id, look_at = least(g.look_at, excluded.look_at)
    RETURNING g.group_id
)
INSERT INTO sqslite.messages
    (partition_id, body, body_kind, attributes, enqueued_at, not_before, expires_at, max_retries, dlq, trace_id,
    group_id)
SELECT
    $1::bigint,
    sent.body,
    sent.body_kind,
    sent.attributes,
    {now},
    {now} + sent.delay_ms * interval '1 millisecond',
    {now} + nullif(sent.retention_ms, 0) * interval '1 millisecond',
    sent.max_retries,
    sent.dlq,
    sent.trace_id,
    sent.group_id
FROM sent
-- Ids are drawn once all groups are locked, so that within a group they grow in the order of the commits.
WHERE (SELECT count(*) FROM locked) > 0
ORDER BY sent.place
RETURNING id
