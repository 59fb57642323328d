DELETE FROM messages
WHERE id IN (SELECT value FROM json_each(:ids))
  -- What is in a dropped partition is gone already.
  AND EXISTS (SELECT 1 FROM queues WHERE queues.partition_id = messages.partition_id)
RETURNING id, partition_id, group_id, claimed_at
