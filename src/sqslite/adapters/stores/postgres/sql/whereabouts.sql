SELECT {now}, message.id, message.partition_id, message.receipt_secret, message.in_group
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT m.id, m.partition_id, m.receipt_secret, m.group_id IS NOT NULL AS in_group
    FROM sqslite.messages AS m
    INNER JOIN sqslite.queues AS q ON q.partition_id = m.partition_id
    WHERE m.id = ANY ($1::bigint[])
) AS message ON true
