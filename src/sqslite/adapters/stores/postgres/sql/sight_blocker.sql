SELECT blocker.id, blocker.not_before, blocker.lease_until, blocker.expires_at
FROM sqslite.messages AS blocker
WHERE blocker.partition_id = $1 AND blocker.id = coalesce(
    (
        SELECT m.id
        FROM sqslite.messages AS m
        WHERE
            m.partition_id = $1 AND m.group_id = $2 AND m.id <> $3 AND m.delivery_count > 0
            AND (
                m.lease_until IS NOT NULL
                OR m.not_before > {now} AND (m.expires_at IS NULL OR m.expires_at > {now})
            )
        -- Not by the id alone, for then the planner may read the partition in the order of its key.
        ORDER BY m.id + 0
        LIMIT 1
    ),
    (
        SELECT m.id
        FROM sqslite.messages AS m
        WHERE
            m.partition_id = $1 AND m.group_id = $2 AND m.id < $3 AND m.lease_until IS NULL AND m.not_before <= {now}
            AND (m.expires_at IS NULL OR m.expires_at > {now})
        ORDER BY m.id
        LIMIT 1
    )
)
