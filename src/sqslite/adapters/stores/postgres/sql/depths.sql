SELECT
    asked.partition_id,
    {now},
    (
        SELECT count(*) FROM sqslite.messages AS m
        WHERE m.partition_id = asked.partition_id AND m.lease_until IS NULL AND m.not_before <= {now}
    ),
    (
        SELECT count(*) FROM sqslite.messages AS m
        WHERE m.partition_id = asked.partition_id AND m.lease_until IS NULL AND m.not_before > {now}
    ),
    (
        SELECT count(*) FROM sqslite.messages AS m
        WHERE m.partition_id = asked.partition_id AND m.lease_until IS NOT NULL
    ),
    (
        SELECT min(m.not_before) FROM sqslite.messages AS m
        WHERE m.partition_id = asked.partition_id AND m.lease_until IS NULL AND m.not_before <= {now}
    )
FROM unnest($1::bigint[]) AS asked (partition_id)
