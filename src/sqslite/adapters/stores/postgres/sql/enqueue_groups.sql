WITH came AS MATERIALIZED (
    SELECT
        group_id,
        min(place) AS place,
        {now} + min(delay_ms) * interval '1 millisecond' AS look_at
    FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS sent (group_id, delay_ms, place)
    GROUP BY group_id
),
drawn AS MATERIALIZED (
    -- Groups that come new take their turns in the order in which they came.
    SELECT group_id, look_at, nextval('sqslite.turns') AS turn
    FROM (SELECT group_id, look_at FROM came ORDER BY place) AS in_order
)
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
