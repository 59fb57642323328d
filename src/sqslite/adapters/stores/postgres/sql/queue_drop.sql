WITH gone AS (
    DELETE FROM sqslite.queues
    WHERE name = $1
    RETURNING partition_id
)
INSERT INTO sqslite.dropped_partitions (partition_id, dropped_at)
SELECT partition_id, {now}
FROM gone
RETURNING partition_id
