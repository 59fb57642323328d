WITH past AS MATERIALIZED (
    SELECT partition_id, dedup_id
    FROM sqslite.dedup
    WHERE expires_at <= {now}
    ORDER BY expires_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
DELETE FROM sqslite.dedup AS d
USING past
WHERE
    -- Says no more than the join does, but makes the planner use the key for a batch of any size.
    d.partition_id = ANY (ARRAY(SELECT DISTINCT partition_id FROM past))
    AND d.dedup_id = ANY (ARRAY(SELECT DISTINCT dedup_id FROM past))
    AND d.partition_id = past.partition_id AND d.dedup_id = past.dedup_id
RETURNING d.dedup_id
