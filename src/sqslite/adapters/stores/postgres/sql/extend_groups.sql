SELECT g.group_id
FROM sqslite.message_groups AS g
WHERE
    g.partition_id = $1
    AND g.group_id = ANY (
        ARRAY(
            SELECT m.group_id
            FROM sqslite.messages AS m
            WHERE m.partition_id = $1 AND m.id = ANY ($2::bigint[]) AND m.group_id IS NOT NULL
        )
    )
ORDER BY g.group_id
FOR NO KEY UPDATE
