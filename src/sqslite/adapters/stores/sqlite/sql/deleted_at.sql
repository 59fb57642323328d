SELECT deleted_at
FROM deleted_queues
WHERE name = :name
  AND deleted_at > :since
