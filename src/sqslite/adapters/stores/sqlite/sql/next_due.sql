SELECT min((
    SELECT lease_until
    FROM messages INDEXED BY messages_in_flight
    WHERE messages.partition_id = queues.partition_id
      AND lease_until IS NOT NULL
    ORDER BY lease_until
    LIMIT 1
)) AS at
FROM queues
