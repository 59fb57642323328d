UPDATE sqslite.queues
SET settings = $2::text::jsonb
WHERE name = $1 AND coalesce((settings ->> 'fifo')::boolean, false) = $3
RETURNING name, partition_id, settings::text, paused
