UPDATE sqslite.queues AS q
SET paused = $2
WHERE q.name = $1
RETURNING {queue}
