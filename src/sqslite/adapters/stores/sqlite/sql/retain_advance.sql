UPDATE retention_changes
SET after_id = :last_id
WHERE partition_id = :partition_id
  AND before_ms = :before_ms
