SELECT
    {now},
    (
        SELECT min(first_in_queue.lease_until)
        FROM sqslite.queues AS q
        CROSS JOIN LATERAL (
            SELECT lease_until
            FROM sqslite.messages
            WHERE partition_id = q.partition_id AND lease_until IS NOT NULL
            ORDER BY lease_until
            LIMIT 1
        ) AS first_in_queue
    )
