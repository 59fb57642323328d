UPDATE sqslite.queues
SET paused = $2
WHERE name = $1
RETURNING name, partition_id, settings::text, paused
