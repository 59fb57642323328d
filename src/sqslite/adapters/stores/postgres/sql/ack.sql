DELETE FROM sqslite.messages AS m
USING unnest($2::bigint[], $3::bytea[]) AS proven (id, receipt_secret)
WHERE
    m.partition_id = $1
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    AND m.id = ANY ($2::bigint[])
    AND m.id = proven.id
    AND m.receipt_secret = proven.receipt_secret
    -- What is in a dropped partition is gone already.
    AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
    -- Says group_id IS NULL so that the planner does not guess how rare that is, and loop where it guesses too low.
    AND num_nulls(m.group_id) > 0
RETURNING m.id, m.receipt_secret, m.claimed_at
