DELETE FROM sqslite.dedup AS d
WHERE
    d.partition_id = $1
    AND d.dedup_id = ANY (
        ARRAY(SELECT dedup_id FROM sqslite.dedup WHERE partition_id = $1 ORDER BY dedup_id LIMIT $2)
    )
RETURNING d.dedup_id
