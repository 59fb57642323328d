SELECT {now}, {queue}, {message}
FROM sqslite.messages AS m
INNER JOIN sqslite.queues AS q ON q.partition_id = m.partition_id
WHERE m.id = $1
LIMIT 1
