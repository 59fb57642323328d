INSERT INTO totals (partition_id, enqueued, received, acked, dead_lettered)
SELECT partition_id, :enqueued, :received, :acked, :dead_lettered
FROM queues
WHERE partition_id = :partition_id
ON CONFLICT (partition_id) DO UPDATE
SET enqueued      = enqueued + excluded.enqueued,
    received      = received + excluded.received,
    acked         = acked + excluded.acked,
    dead_lettered = dead_lettered + excluded.dead_lettered
