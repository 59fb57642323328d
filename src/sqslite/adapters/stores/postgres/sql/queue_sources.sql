SELECT {queue}
FROM sqslite.queues AS q
WHERE q.settings ->> 'dlq' = $1 AND q.name > $2
ORDER BY q.name
LIMIT $3
