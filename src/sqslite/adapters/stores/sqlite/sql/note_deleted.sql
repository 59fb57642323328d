INSERT INTO deleted_queues (name, deleted_at)
VALUES (:name, :deleted_at)
ON CONFLICT (name) DO UPDATE SET deleted_at = excluded.deleted_at
