-- Counted are at most as many as are to be exact, and one more.
SELECT
    depths.partition_id,
    unleased,
    leased,
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM messages INDEXED BY messages_ready
            WHERE partition_id = depths.partition_id AND lease_until IS NULL AND not_before <= :now
            LIMIT :counted_max
        )
    ) AS ready,
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM messages INDEXED BY messages_ready
            WHERE partition_id = depths.partition_id AND lease_until IS NULL AND not_before > :now
            LIMIT :counted_max
        )
    ) AS delayed,
    (
        SELECT min(not_before)
        FROM messages INDEXED BY messages_ready
        WHERE partition_id = depths.partition_id AND lease_until IS NULL AND not_before <= :now
    ) AS oldest_ready_at
FROM depths
WHERE depths.partition_id IN (SELECT value FROM json_each(:partition_ids))
