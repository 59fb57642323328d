SELECT partition_id
FROM sqslite.queues
WHERE name = $1
FOR UPDATE
