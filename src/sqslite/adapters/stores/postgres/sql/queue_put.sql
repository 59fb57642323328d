UPDATE sqslite.queues
SET settings = $2::text::jsonb
WHERE name = $1
RETURNING name, partition_id, settings::text
