SELECT
    c.partition_id, c.before_ms, c.after_id, c.missed,
    CASE WHEN q.name IS NOT NULL THEN coalesce((q.settings ->> 'retention_ms')::bigint, $2) END
FROM sqslite.retention_changes AS c
LEFT JOIN sqslite.queues AS q ON q.partition_id = c.partition_id
WHERE c.changed_at <= {now} - $1::bigint * interval '1 millisecond'
ORDER BY c.changed_at
LIMIT 1
-- Another sweep that is at one leaves it alone, and the next one is taken.
FOR UPDATE OF c SKIP LOCKED
