INSERT INTO redrives (partition_id, queue, destination, max_per_second, count_max, to_move, state, created_at)
VALUES (:partition_id, :queue, :destination, :max_per_second, :count_max, :to_move, 'running', :created_at)
RETURNING
    id, partition_id, queue, destination, max_per_second, count_max, state, moved, created_at, ended_at, position_at,
    position_id, taken, to_move
