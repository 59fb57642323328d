UPDATE sqslite.retention_changes AS c
SET after_id = $3, missed = $4
WHERE c.partition_id = $1 AND c.before_ms = $2
RETURNING c.partition_id
