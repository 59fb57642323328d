DELETE FROM sqslite.messages AS m
WHERE
    m.partition_id = $1
    AND m.id = ANY ($2::bigint[])
    -- Ids ascend, and their secrets lie one behind another in the same order. There is no join, which the planner, where
    -- it knows little of the partition, would carry out by comparing each message with each receipt.
    AND m.receipt_secret = substring($3::bytea FROM (width_bucket(m.id, $2::bigint[]) - 1) * 16 + 1 FOR 16)
    -- What is in a dropped partition is gone already.
    AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
    AND m.group_id IS NULL
RETURNING m.id, m.claimed_at
