WITH forgotten AS (
    DELETE FROM sqslite.dropped_partitions
    WHERE
        partition_id = $1 AND dropped_at <= {now} - interval '60 seconds'
        AND NOT EXISTS (SELECT FROM sqslite.messages WHERE partition_id = $1 AND lease_until IS NULL)
        AND NOT EXISTS (SELECT FROM sqslite.messages WHERE partition_id = $1 AND lease_until IS NOT NULL)
        AND NOT EXISTS (SELECT FROM sqslite.message_groups WHERE partition_id = $1)
        AND NOT EXISTS (SELECT FROM sqslite.dedup WHERE partition_id = $1)
    RETURNING partition_id
)
DELETE FROM sqslite.totals
WHERE partition_id = ANY (ARRAY(SELECT partition_id FROM forgotten))
RETURNING partition_id
