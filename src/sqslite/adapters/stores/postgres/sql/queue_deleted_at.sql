SELECT deleted_at
FROM sqslite.deleted_queues
WHERE name = $1 AND deleted_at > {now} - $2::bigint * interval '1 millisecond'
