DELETE FROM sqslite.message_groups AS g
WHERE
    g.partition_id = $1
    AND g.group_id = ANY (
        ARRAY(SELECT group_id FROM sqslite.message_groups WHERE partition_id = $1 ORDER BY group_id LIMIT $2)
    )
RETURNING g.group_id
