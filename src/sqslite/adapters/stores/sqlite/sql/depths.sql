SELECT
    asked.value AS partition_id,
    (
        SELECT count(*) FROM messages INDEXED BY messages_ready
        WHERE partition_id = asked.value AND lease_until IS NULL AND not_before <= :now
    ) AS ready,
    (
        SELECT count(*) FROM messages INDEXED BY messages_ready
        WHERE partition_id = asked.value AND lease_until IS NULL AND not_before > :now
    ) AS delayed,
    (
        SELECT count(*) FROM messages INDEXED BY messages_in_flight
        WHERE partition_id = asked.value AND lease_until IS NOT NULL
    ) AS in_flight,
    (
        SELECT min(not_before) FROM messages INDEXED BY messages_ready
        WHERE partition_id = asked.value AND lease_until IS NULL AND not_before <= :now
    ) AS oldest_ready_at
FROM json_each(:partition_ids) AS asked
