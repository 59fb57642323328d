WITH wished AS MATERIALIZED (
    SELECT
        id,
        receipt_secret,
        {now} + visibility_ms * interval '1 millisecond' AS lease_until,
        {now} + (visibility_ms - $5::bigint) * interval '1 millisecond' AS claimed_since
    FROM unnest($2::bigint[], $3::bytea[], $4::bigint[]) AS asked (id, receipt_secret, visibility_ms)
)
UPDATE sqslite.messages AS m
SET lease_until = wished.lease_until
FROM wished
WHERE
    m.partition_id = $1
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    AND m.id = ANY ($2::bigint[])
    AND m.id = wished.id
    AND m.receipt_secret = wished.receipt_secret
    AND m.claimed_at >= wished.claimed_since
    -- One that is not leased any more may be leased by nobody but the holder of its group.
    AND ($6 OR num_nonnulls(m.lease_until) + num_nulls(m.group_id) > 0)
    AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
RETURNING m.id, m.receipt_secret, m.lease_until
