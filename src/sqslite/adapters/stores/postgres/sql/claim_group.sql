SELECT group_id, nextval('sqslite.turns')
FROM sqslite.message_groups
WHERE
    partition_id = $1 AND group_id = $2 AND look_at <= {now}
    AND EXISTS (SELECT FROM sqslite.queues WHERE partition_id = $1 AND NOT paused)
FOR NO KEY UPDATE
