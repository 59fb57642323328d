DELETE FROM sqslite.redrives AS r
WHERE
    r.partition_id = $1
    AND r.id = ANY (ARRAY(SELECT id FROM sqslite.redrives WHERE partition_id = $1 ORDER BY id LIMIT $2))
RETURNING r.id
