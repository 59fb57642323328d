INSERT INTO sqslite.messages
    (partition_id, id, body, body_kind, attributes, enqueued_at, not_before, expires_at, max_retries, dlq, trace_id,
    group_id, group_label, dedup_id)
SELECT
    $1::bigint,
    sent.id,
    sent.body,
    sent.body_kind,
    sent.attributes,
    {now},
    {now} + sent.delay_ms * interval '1 millisecond',
    {now} + nullif(sent.retention_ms, 0) * interval '1 millisecond',
    sent.max_retries,
    sent.dlq,
    sent.trace_id,
    CASE WHEN sent.grouped THEN sent.group_id END,
    CASE WHEN NOT sent.grouped THEN sent.group_id END,
    sent.dedup_id
FROM unnest(
    $2::bytea[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::integer[], $8::text[], $9::text[], $10::text[],
    $11::boolean[], $12::bigint[], $13::text[]
) AS sent (
    body, body_kind, attributes, delay_ms, retention_ms, max_retries, dlq, trace_id, group_id, grouped, id, dedup_id
)
WHERE EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
RETURNING id
