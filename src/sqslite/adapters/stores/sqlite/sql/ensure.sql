INSERT INTO queues (name, settings, created_at)
VALUES (:name, :settings, :now)
ON CONFLICT (name) DO NOTHING
