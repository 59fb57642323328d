UPDATE redrives
SET taken      = taken + 1,
    held_until = :held_until
WHERE id = (
    SELECT id
    FROM redrives INDEXED BY redrives_running
    WHERE state = 'running'
      AND (held_until IS NULL OR held_until <= :now)
    LIMIT 1
)
RETURNING
    id, partition_id, queue, destination, max_per_second, count_max, state, moved, created_at, ended_at, position_at,
    position_id, taken, to_move
