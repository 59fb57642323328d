WITH unchanged AS MATERIALIZED (
    SELECT
        m.ctid AS spot,
        ($5::timestamptz[])[settled.place] AS not_before,
        ($6::text[])[settled.place] AS error,
        ($7::bigint[])[settled.place] AS dlq_partition_id,
        ($8::boolean[])[settled.place] AS grouped,
        ($9::text[])[settled.place] AS queue,
        ($10::bigint[])[settled.place] AS retention_ms,
        ($11::text[])[settled.place] AS dlq_kept,
        ($12::timestamptz[])[settled.place] AS kept_since
    FROM sqslite.messages AS m
    CROSS JOIN LATERAL (SELECT width_bucket(m.id, $2::bigint[]) AS place) AS settled
    WHERE
        m.partition_id = $1 AND m.id = ANY ($2::bigint[])
        -- Secrets as in ack.sql; all else lies in the order of the ids, too.
        AND m.receipt_secret = substring($3::bytea FROM (settled.place - 1) * 16 + 1 FOR 16)
        AND m.lease_until IS NOT DISTINCT FROM ($4::timestamptz[])[settled.place]
        AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
        AND EXISTS (SELECT FROM sqslite.queues AS dlq WHERE dlq.partition_id = ($7::bigint[])[settled.place])
    -- Whoever has it locked is settling or acking it, maybe in a long transaction of his own: it is left for the next
    -- sweep, so that the others of the page need not wait.
    ORDER BY m.id
    FOR UPDATE OF m SKIP LOCKED
),
taken AS (
    DELETE FROM sqslite.messages AS m
    USING unchanged
    WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM unchanged)) AND m.ctid = unchanged.spot
    RETURNING
        m.id, m.body, m.body_kind, m.attributes, m.enqueued_at, m.delivery_count,
        m.deliveries_before, m.max_retries, m.trace_id, m.group_id, m.group_label, m.dedup_id, m.last_error,
        coalesce(m.first_claimed_at, m.claimed_at) AS first_claimed_at, unchanged.dlq_partition_id, unchanged.grouped, unchanged.queue, unchanged.not_before, unchanged.error,
        unchanged.retention_ms, unchanged.dlq_kept, unchanged.kept_since
),
kept AS (
    INSERT INTO sqslite.messages
        (id, partition_id, body, body_kind, attributes, enqueued_at, not_before, expires_at, deliveries_before,
        max_retries, dlq, trace_id, group_id, group_label, dedup_id, last_error, origin_queue, origin_delivery_count,
        first_claimed_at)
    SELECT
        id, dlq_partition_id, body, body_kind, attributes, enqueued_at, not_before,
        coalesce(kept_since, enqueued_at) + nullif(retention_ms, 0) * interval '1 millisecond',
        deliveries_before + delivery_count, max_retries, dlq_kept, trace_id, CASE WHEN grouped THEN coalesce(group_id, group_label, '') END,
        CASE WHEN NOT grouped THEN coalesce(nullif(group_id, ''), group_label) END, dedup_id,
        coalesce(error, last_error), queue, delivery_count, first_claimed_at
    FROM taken
    -- Where the move runs in two steps (several servers), an earlier one may have left its copy there.
    ON CONFLICT (id, partition_id) DO NOTHING
),
freed AS MATERIALIZED (
    SELECT g.group_id
    FROM sqslite.message_groups AS g
    WHERE g.partition_id = $1 AND g.group_id = ANY (ARRAY(SELECT group_id FROM taken WHERE group_id IS NOT NULL))
    ORDER BY g.group_id
    FOR NO KEY UPDATE
),
woken AS (
    UPDATE sqslite.message_groups AS g
    SET look_at = {now}
    WHERE g.partition_id = $1 AND g.group_id = ANY (ARRAY(SELECT group_id FROM freed))
),
joined AS (
    INSERT INTO sqslite.message_groups AS g (partition_id, group_id, turn, look_at)
    SELECT partition_id, group_id, nextval('sqslite.turns'), look_at
    FROM (
        SELECT dlq_partition_id AS partition_id, coalesce(group_id, group_label, '') AS group_id, min(not_before) AS look_at
        FROM taken
        WHERE grouped
        GROUP BY dlq_partition_id, coalesce(group_id, group_label, '')
    ) AS came
    ORDER BY partition_id, group_id COLLATE "C"
    ON CONFLICT (partition_id, group_id) DO UPDATE SET look_at = least(g.look_at, excluded.look_at)
)
SELECT id
FROM taken
