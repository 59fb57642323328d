SELECT id
FROM sqslite.redrives
WHERE id = $1 AND partition_id = $2 AND taken = $3 AND state = 'running'
FOR UPDATE
