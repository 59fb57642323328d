UPDATE queues
SET paused = :paused
WHERE name = :name
