WITH ready AS MATERIALIZED (
    SELECT m.ctid AS spot, asked.target_partition_id, asked.grouped, asked.dlq, asked.retention_ms
    FROM unnest($2::bigint[], $3::bigint[], $4::boolean[], $5::text[], $6::bigint[])
        AS asked (id, target_partition_id, grouped, dlq, retention_ms)
    INNER JOIN sqslite.messages AS m ON m.id = asked.id
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    WHERE
        m.partition_id = $1 AND m.id = ANY ($2::bigint[])
        AND num_nulls(m.lease_until) > 0 AND m.not_before <= {now} AND (m.expires_at IS NULL OR m.expires_at > {now})
        AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
        AND EXISTS (SELECT FROM sqslite.queues AS target WHERE target.partition_id = asked.target_partition_id)
    ORDER BY m.id
    FOR UPDATE OF m
),
taken AS (
    DELETE FROM sqslite.messages AS m
    USING ready
    WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM ready)) AND m.ctid = ready.spot
    RETURNING
        m.id, m.body, m.body_kind, m.attributes, m.enqueued_at, m.delivery_count, m.deliveries_before, m.max_retries,
        m.trace_id, m.group_id, m.group_label, m.dedup_id, m.last_error, ready.target_partition_id, ready.grouped, ready.dlq,
        ready.retention_ms
),
kept AS (
    INSERT INTO sqslite.messages
        (id, partition_id, body, body_kind, attributes, enqueued_at, not_before, expires_at, deliveries_before,
        max_retries, dlq, trace_id, group_id, group_label, dedup_id, last_error)
    SELECT
        id, target_partition_id, body, body_kind, attributes, enqueued_at, {now},
        {now} + nullif(retention_ms, 0) * interval '1 millisecond', deliveries_before + delivery_count, max_retries,
        dlq, trace_id, CASE WHEN grouped THEN coalesce(group_id, group_label, '') END,
        CASE WHEN NOT grouped THEN coalesce(nullif(group_id, ''), group_label) END, dedup_id, last_error
    FROM taken
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
    SELECT partition_id, group_id, nextval('sqslite.turns'), {now}
    FROM (
        SELECT target_partition_id AS partition_id, coalesce(group_id, group_label, '') AS group_id
        FROM taken
        WHERE grouped
        GROUP BY target_partition_id, coalesce(group_id, group_label, '')
    ) AS came
    ORDER BY partition_id, group_id COLLATE "C"
    ON CONFLICT (partition_id, group_id) DO UPDATE SET look_at = least(g.look_at, excluded.look_at)
)
SELECT id
FROM taken
