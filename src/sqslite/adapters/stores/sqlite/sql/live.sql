SELECT partition_id
FROM queues
WHERE partition_id IN (SELECT value FROM json_each(:partition_ids))
