INSERT INTO sqslite.messages
    (partition_id, body, body_kind, enqueued_at, not_before, max_retries, dlq, trace_id)
SELECT
    $1::bigint,
    sent.body,
    sent.body_kind,
    {now},
    {now} + sent.delay_ms * interval '1 millisecond',
    sent.max_retries,
    sent.dlq,
    sent.trace_id
FROM unnest($2::bytea[], $3::text[], $4::bigint[], $5::integer[], $6::text[], $7::text[])
    WITH ORDINALITY AS sent (body, body_kind, delay_ms, max_retries, dlq, trace_id, place)
ORDER BY sent.place
RETURNING id
