INSERT INTO sqslite.redrives AS r (partition_id, queue, destination, max_per_second, count_max, to_move, state, created_at)
VALUES ($1, $2, $3, $4, $5, $6, 'running', {now})
ON CONFLICT (partition_id) WHERE state = 'running' DO NOTHING
RETURNING {redrive}
