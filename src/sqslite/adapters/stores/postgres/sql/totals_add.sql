INSERT INTO sqslite.totals AS t (partition_id, enqueued, received, acked, dead_lettered)
SELECT added.partition_id, added.enqueued, added.received, added.acked, added.dead_lettered
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS added (partition_id, enqueued, received, acked, dead_lettered)
INNER JOIN sqslite.queues AS q ON q.partition_id = added.partition_id
ORDER BY added.partition_id
ON CONFLICT (partition_id) DO UPDATE SET
    enqueued = t.enqueued + excluded.enqueued,
    received = t.received + excluded.received,
    acked = t.acked + excluded.acked,
    dead_lettered = t.dead_lettered + excluded.dead_lettered
RETURNING t.partition_id
