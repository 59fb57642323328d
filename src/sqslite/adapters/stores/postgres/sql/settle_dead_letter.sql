WITH unchanged AS MATERIALIZED (
    SELECT m.ctid AS spot, settled.dlq_partition_id, settled.queue, settled.not_before, settled.error
    FROM unnest(
        $2::bigint[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::bigint[], $8::text[]
    ) AS settled (id, receipt_secret, lease_until, not_before, error, dlq_partition_id, queue)
    INNER JOIN sqslite.messages AS m
        ON m.id = settled.id AND m.receipt_secret = settled.receipt_secret AND m.lease_until = settled.lease_until
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    WHERE m.partition_id = $1 AND m.id = ANY ($2::bigint[])
    -- Whoever settles locks in the same order, so that racing sweepers wait for one another and never deadlock.
    ORDER BY m.id
    FOR UPDATE OF m
),
taken AS (
    DELETE FROM sqslite.messages AS m
    USING unchanged
    WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM unchanged)) AND m.ctid = unchanged.spot
    RETURNING
        m.id, m.receipt_secret, m.body, m.body_kind, m.enqueued_at, m.delivery_count, m.max_retries, m.trace_id,
        m.last_error, unchanged.dlq_partition_id, unchanged.queue, unchanged.not_before, unchanged.error
),
kept AS (
    INSERT INTO sqslite.messages
        (id, partition_id, body, body_kind, enqueued_at, not_before, max_retries, trace_id, last_error, origin_queue,
        origin_delivery_count)
    SELECT
        id, dlq_partition_id, body, body_kind, enqueued_at, not_before, max_retries, trace_id,
        coalesce(error, last_error), queue, delivery_count
    FROM taken
    -- Where the move runs in two steps (several servers), an earlier one may have left its copy there.
    ON CONFLICT (id, partition_id) DO NOTHING
)
SELECT id, receipt_secret
FROM taken
