WITH unchanged AS MATERIALIZED (
    SELECT
        m.ctid AS spot, settled.not_before, settled.error, settled.dlq_partition_id, settled.grouped, settled.queue,
        settled.retention_ms, settled.dlq_kept, settled.kept_since
    FROM unnest(
        $2::bigint[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::bigint[], $8::boolean[],
        $9::text[], $10::bigint[], $11::text[], $12::timestamptz[]
    ) AS settled (
        id, receipt_secret, lease_until, not_before, error, dlq_partition_id, grouped, queue, retention_ms,
        dlq_kept, kept_since
    )
    INNER JOIN sqslite.messages AS m
        ON m.id = settled.id AND m.receipt_secret = settled.receipt_secret AND m.lease_until = settled.lease_until
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    WHERE
        m.partition_id = $1 AND m.id = ANY ($2::bigint[])
        AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
        AND EXISTS (SELECT FROM sqslite.queues AS dlq WHERE dlq.partition_id = settled.dlq_partition_id)
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
        m.id, m.receipt_secret, m.body, m.body_kind, m.attributes, m.enqueued_at, m.delivery_count,
        m.deliveries_before, m.max_retries, m.trace_id, m.group_id, m.group_label, m.dedup_id, m.last_error,
        unchanged.dlq_partition_id, unchanged.grouped, unchanged.queue, unchanged.not_before, unchanged.error,
        unchanged.retention_ms, unchanged.dlq_kept, unchanged.kept_since
),
kept AS (
    INSERT INTO sqslite.messages
        (id, partition_id, body, body_kind, attributes, enqueued_at, not_before, expires_at, deliveries_before,
        max_retries, dlq, trace_id, group_id, group_label, dedup_id, last_error, origin_queue, origin_delivery_count)
    SELECT
        id, dlq_partition_id, body, body_kind, attributes, enqueued_at, not_before,
        coalesce(kept_since, enqueued_at) + nullif(retention_ms, 0) * interval '1 millisecond',
        deliveries_before + delivery_count, max_retries, dlq_kept, trace_id, CASE WHEN grouped THEN coalesce(group_id, group_label, '') END,
        CASE WHEN NOT grouped THEN coalesce(nullif(group_id, ''), group_label) END, dedup_id,
        coalesce(error, last_error), queue, delivery_count
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
SELECT id, receipt_secret
FROM taken
