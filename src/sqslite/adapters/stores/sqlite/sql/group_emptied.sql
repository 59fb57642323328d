DELETE FROM message_groups
WHERE partition_id = :partition_id
  AND group_id = :group_id
  AND NOT EXISTS (
      SELECT 1
      FROM messages INDEXED BY messages_in_group
      WHERE grouped = 1 AND partition_id = :partition_id AND group_id = :group_id AND lease_until IS NULL
  )
  AND NOT EXISTS (
      SELECT 1
      FROM messages INDEXED BY messages_delivered_in_group
      WHERE grouped = 1 AND partition_id = :partition_id AND group_id = :group_id AND delivery_count > 0
  )
