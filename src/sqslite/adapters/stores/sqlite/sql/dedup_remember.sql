INSERT INTO dedup (partition_id, dedup_id, message_id, expires_at)
VALUES (:partition_id, :dedup_id, :message_id, :expires_at)
ON CONFLICT (partition_id, dedup_id) DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at
