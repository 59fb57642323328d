INSERT INTO sqslite.queues AS q (name, settings, created_at)
VALUES ($1, $2::text::jsonb, {now})
ON CONFLICT (name) DO NOTHING
RETURNING {queue}
