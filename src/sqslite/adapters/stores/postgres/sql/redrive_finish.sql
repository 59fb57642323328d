UPDATE sqslite.redrives
SET state = $2, ended_at = {now}, held_until = NULL
WHERE id = $1 AND state = 'running'
RETURNING id
