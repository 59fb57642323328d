SELECT dedup_id, message_id
FROM dedup
WHERE partition_id = :partition_id
  AND dedup_id IN (SELECT value FROM json_each(:dedup_ids))
  AND expires_at > :now
