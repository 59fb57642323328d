UPDATE message_groups
SET look_at = 0
WHERE partition_id = :partition_id
  AND look_at > 0
  AND look_at <= :now
