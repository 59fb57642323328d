WITH dropped AS (
    INSERT INTO sqslite.dropped_partitions (partition_id, dropped_at)
    VALUES ($2::bigint, {now})
),
renewed AS (
    UPDATE sqslite.queues
    SET partition_id = DEFAULT, purged_at = {now}
    WHERE name = $1
    RETURNING name, partition_id, settings, paused, created_at, changed_at, purged_at
),
counted AS (
    DELETE FROM sqslite.totals
    WHERE partition_id = $2
    RETURNING enqueued, received, acked, dead_lettered
),
kept AS (
    INSERT INTO sqslite.totals (partition_id, enqueued, received, acked, dead_lettered)
    SELECT renewed.partition_id, counted.enqueued, counted.received, counted.acked, counted.dead_lettered
    FROM counted, renewed
)
SELECT {queue}
FROM renewed AS q
