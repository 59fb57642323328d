-- The key is drawn anew.
INSERT INTO queues (name, settings, paused, created_at, changed_at, purged_at)
VALUES (:name, :settings, :paused, :created_at, :changed_at, :now)
