WITH forgotten AS (
    DELETE FROM sqslite.dropped_partitions
    WHERE
        partition_id = $1 AND dropped_at <= {now} - interval '60 seconds'
        -- In the order of the indexes, which is what makes them the only way: EXISTS may read a whole table in vain.
        AND (
            SELECT true FROM sqslite.messages
            WHERE partition_id = $1 AND lease_until IS NULL
            ORDER BY not_before, id
            LIMIT 1
        ) IS NULL
        AND (
            SELECT true FROM sqslite.messages
            WHERE partition_id = $1 AND lease_until IS NOT NULL
            ORDER BY lease_until, id
            LIMIT 1
        ) IS NULL
        AND (
            SELECT true FROM sqslite.message_groups
            WHERE partition_id = $1
            ORDER BY group_id
            LIMIT 1
        ) IS NULL
        AND (
            SELECT true FROM sqslite.dedup
            WHERE partition_id = $1
            ORDER BY dedup_id
            LIMIT 1
        ) IS NULL
    RETURNING partition_id
)
DELETE FROM sqslite.totals
WHERE partition_id = ANY (ARRAY(SELECT partition_id FROM forgotten))
RETURNING partition_id
