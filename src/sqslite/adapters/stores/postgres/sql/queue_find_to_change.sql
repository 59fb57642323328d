SELECT {queue}
FROM sqslite.queues AS q
WHERE q.name = $1
FOR UPDATE
