SELECT partition_id, enqueued, received, acked, dead_lettered
FROM totals
WHERE partition_id IN (SELECT value FROM json_each(:partition_ids))
