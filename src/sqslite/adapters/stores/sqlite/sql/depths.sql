-- Counted are at most as many as are to be exact, and one more.
SELECT
    asked.value AS partition_id,
    coalesce((SELECT unleased FROM depths WHERE depths.partition_id = asked.value), 0) AS unleased,
    coalesce((SELECT leased FROM depths WHERE depths.partition_id = asked.value), 0) AS leased,
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM messages INDEXED BY messages_ready
            WHERE partition_id = asked.value AND lease_until IS NULL AND not_before <= :now
            LIMIT :counted_max
        )
    ) AS ready,
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM messages INDEXED BY messages_ready
            WHERE partition_id = asked.value AND lease_until IS NULL AND not_before > :now
            LIMIT :counted_max
        )
    ) AS delayed,
    (
        SELECT min(not_before)
        FROM messages INDEXED BY messages_ready
        WHERE partition_id = asked.value AND lease_until IS NULL AND not_before <= :now
    ) AS oldest_ready_at
FROM json_each(:partition_ids) AS asked
