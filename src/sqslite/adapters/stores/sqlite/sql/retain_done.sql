DELETE FROM retention_changes
WHERE partition_id = :partition_id
  AND before_ms = :before_ms
