WITH unchanged AS MATERIALIZED (
    SELECT m.ctid AS spot, settled.not_before, settled.error
    FROM unnest($2::bigint[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::text[])
        AS settled (id, receipt_secret, lease_until, not_before, error)
    INNER JOIN sqslite.messages AS m
        ON m.id = settled.id AND m.receipt_secret = settled.receipt_secret AND m.lease_until = settled.lease_until
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    WHERE m.partition_id = $1 AND m.id = ANY ($2::bigint[])
    -- Whoever settles locks in the same order, so that racing sweepers wait for one another and never deadlock.
    ORDER BY m.id
    FOR UPDATE OF m
)
UPDATE sqslite.messages AS m
SET
    lease_until = NULL,
    not_before = unchanged.not_before,
    last_error = coalesce(unchanged.error, m.last_error)
FROM unchanged
WHERE m.partition_id = $1 AND m.ctid = ANY (ARRAY(SELECT spot FROM unchanged)) AND m.ctid = unchanged.spot
RETURNING m.id, m.receipt_secret
