DELETE FROM sqslite.messages AS m
WHERE
    m.partition_id = $1
    AND m.id = ANY (
        ARRAY(
            (
                SELECT id
                FROM sqslite.messages
                WHERE partition_id = $1 AND lease_until IS NULL
                ORDER BY not_before, id
                LIMIT $2
            )
            UNION ALL
            (
                SELECT id
                FROM sqslite.messages
                WHERE partition_id = $1 AND lease_until IS NOT NULL
                ORDER BY lease_until, id
                LIMIT $2
            )
            LIMIT $2
        )
    )
RETURNING m.id
