INSERT INTO sqslite.queues (name, settings, created_at)
VALUES ($1, $2::text::jsonb, {now})
ON CONFLICT (name) DO NOTHING
RETURNING name, partition_id, settings::text, paused
