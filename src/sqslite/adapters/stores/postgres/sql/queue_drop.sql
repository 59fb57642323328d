WITH gone AS (
    DELETE FROM sqslite.queues
    WHERE name = $1
    RETURNING name, partition_id
),
noted AS (
    INSERT INTO sqslite.deleted_queues (name, deleted_at)
    SELECT name, {now}
    FROM gone
    ON CONFLICT (name) DO UPDATE SET deleted_at = excluded.deleted_at
)
INSERT INTO sqslite.dropped_partitions (partition_id, dropped_at)
SELECT partition_id, {now}
FROM gone
RETURNING partition_id
