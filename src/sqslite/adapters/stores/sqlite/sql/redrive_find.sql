SELECT
    id, partition_id, queue, destination, max_per_second, count_max, state, moved, created_at, ended_at, position_at,
    position_id, taken, to_move
FROM redrives
WHERE id = :id
  AND partition_id = :partition_id
