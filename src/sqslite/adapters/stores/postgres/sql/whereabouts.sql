SELECT {now}, message.id, message.partition_id, message.receipt_secret
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT id, partition_id, receipt_secret
    FROM sqslite.messages
    WHERE id = ANY ($1::bigint[])
) AS message ON true
