UPDATE queues
SET settings = :settings
WHERE name = :name
