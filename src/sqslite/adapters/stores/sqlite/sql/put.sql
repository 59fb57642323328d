UPDATE queues
SET settings   = :settings,
    changed_at = :now
WHERE name = :name
