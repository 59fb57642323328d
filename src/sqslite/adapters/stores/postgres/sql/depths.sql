SELECT
    asked.partition_id,
    {now},
    -- In the order of the indexes, which is what makes them the only way: a table scan may be long in finding the first.
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM sqslite.messages AS m
            WHERE m.partition_id = asked.partition_id AND m.lease_until IS NULL AND m.not_before <= {now}
            ORDER BY m.not_before, m.id
            LIMIT $2
        ) AS counted
    ),
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM sqslite.messages AS m
            WHERE m.partition_id = asked.partition_id AND m.lease_until IS NULL AND m.not_before > {now}
            ORDER BY m.not_before, m.id
            LIMIT $2
        ) AS counted
    ),
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM sqslite.messages AS m
            WHERE m.partition_id = asked.partition_id AND m.lease_until IS NOT NULL
            ORDER BY m.lease_until, m.id
            LIMIT $2
        ) AS counted
    ),
    (
        SELECT m.not_before
        FROM sqslite.messages AS m
        WHERE m.partition_id = asked.partition_id AND m.lease_until IS NULL AND m.not_before <= {now}
        ORDER BY m.not_before
        LIMIT 1
    )
FROM unnest($1::bigint[]) AS asked (partition_id)
