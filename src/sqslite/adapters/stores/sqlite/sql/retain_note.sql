INSERT INTO retention_changes (partition_id, before_ms, changed_at)
VALUES (:partition_id, :before_ms, :now)
ON CONFLICT (partition_id, before_ms) DO UPDATE SET changed_at = excluded.changed_at, after_id = 0
