INSERT INTO queues (name, settings, created_at)
VALUES (:name, :settings, :created_at)
ON CONFLICT (name) DO NOTHING
