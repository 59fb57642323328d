WITH wished AS MATERIALIZED (
    SELECT
        array_agg({now} + visibility_ms * interval '1 millisecond' ORDER BY place) AS lease_until,
        array_agg({now} + (visibility_ms - $5::bigint) * interval '1 millisecond' ORDER BY place) AS claimed_since
    FROM unnest($4::bigint[]) WITH ORDINALITY AS asked (visibility_ms, place)
)
UPDATE sqslite.messages AS m
SET lease_until = wished.lease_until[width_bucket(m.id, $2::bigint[])]
FROM wished
WHERE
    m.partition_id = $1
    AND m.id = ANY ($2::bigint[])
    -- Secrets as in ack.sql; all else lies in the order of the ids, too.
    AND m.receipt_secret = substring($3::bytea FROM (width_bucket(m.id, $2::bigint[]) - 1) * 16 + 1 FOR 16)
    AND m.claimed_at >= wished.claimed_since[width_bucket(m.id, $2::bigint[])]
    -- One that is not leased any more may be leased by nobody but the holder of its group.
    AND ($6 OR num_nonnulls(m.lease_until) + num_nulls(m.group_id) > 0)
    AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
RETURNING m.id, m.receipt_secret, m.lease_until
