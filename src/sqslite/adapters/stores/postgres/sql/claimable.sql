SELECT q.name
FROM sqslite.queues AS q
-- The first in line of each: the planner must not be led to look at all there are.
LEFT JOIN LATERAL (
    SELECT id
    FROM sqslite.messages
    WHERE
        partition_id = q.partition_id AND lease_until IS NULL AND not_before <= {now}
        AND (expires_at IS NULL OR expires_at > {now})
    ORDER BY not_before, id
    LIMIT 1
) AS ready ON true
LEFT JOIN LATERAL (
    SELECT id
    FROM sqslite.messages
    WHERE partition_id = q.partition_id AND lease_until <= {now}
    ORDER BY lease_until
    LIMIT 1
) AS ended ON true
WHERE q.name = ANY ($1::text[]) AND NOT q.paused AND (ready.id IS NOT NULL OR ended.id IS NOT NULL)
