DELETE FROM messages
WHERE id IN (SELECT value FROM json_each(:ids))
  -- What is in a dropped partition is gone already.
  AND EXISTS (SELECT 1 FROM queues WHERE queues.partition_id = messages.partition_id)
RETURNING id, partition_id, CASE grouped WHEN 1 THEN group_id END AS served_group, claimed_at
