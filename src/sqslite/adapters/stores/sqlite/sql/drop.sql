DELETE FROM queues
WHERE name = :name
RETURNING partition_id, settings, paused, created_at, changed_at
