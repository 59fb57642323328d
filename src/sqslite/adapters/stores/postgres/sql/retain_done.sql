DELETE FROM sqslite.retention_changes AS c
WHERE c.partition_id = $1 AND c.before_ms = $2
RETURNING c.partition_id
