SELECT
    messages.id, messages.partition_id, messages.receipt_secret, messages.claimed_at, messages.lease_until,
    messages.expires_at, messages.delivery_count, messages.max_retries, messages.dlq, messages.group_id,
    CASE messages.grouped WHEN 1 THEN messages.group_id END AS served_group,
    queues.name AS queue
FROM messages
JOIN queues ON queues.partition_id = messages.partition_id
WHERE messages.id IN (SELECT value FROM json_each(:ids))
