SELECT id
FROM redrives INDEXED BY redrives_running
WHERE partition_id = :partition_id
  AND state = 'running'
