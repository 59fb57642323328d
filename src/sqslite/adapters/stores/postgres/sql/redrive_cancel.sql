UPDATE sqslite.redrives AS r
SET state = 'cancelled', ended_at = {now}, held_until = NULL
WHERE r.partition_id = $1 AND r.id = $2 AND r.state = 'running'
RETURNING {redrive}
