UPDATE redrives
SET state      = :state,
    ended_at   = :now,
    held_until = NULL
WHERE id = :id
  AND partition_id = :partition_id
  AND state = 'running'
