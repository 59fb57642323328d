SELECT partition_id, enqueued, received, acked, dead_lettered
FROM sqslite.totals
WHERE partition_id = ANY ($1::bigint[])
