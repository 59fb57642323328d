SELECT nextval('sqslite.messages_id_seq')
FROM generate_series(1, $2::bigint)
WHERE EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1)
