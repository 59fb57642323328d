SELECT {queue}
FROM sqslite.queues AS q
WHERE q.name > $1 AND starts_with(q.name, $3)
ORDER BY q.name
LIMIT $2
