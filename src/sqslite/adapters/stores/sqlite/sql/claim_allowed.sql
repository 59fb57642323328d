SELECT 1
FROM queues
WHERE partition_id = :partition_id
  AND NOT paused
