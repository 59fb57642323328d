SELECT name
FROM queues
WHERE name IN (SELECT value FROM json_each(:queues))
  AND NOT paused
  AND (
      EXISTS (
          SELECT 1
          FROM messages INDEXED BY messages_ready
          WHERE messages.partition_id = queues.partition_id
            AND lease_until IS NULL
            AND not_before <= :now
            AND (expires_at IS NULL OR expires_at > :now)
      )
      OR EXISTS (
          SELECT 1
          FROM messages INDEXED BY messages_in_flight
          WHERE messages.partition_id = queues.partition_id
            AND lease_until IS NOT NULL
            AND lease_until <= :now
      )
  )
