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
WHERE d.partition_id = past.partition_id AND d.dedup_id = past.dedup_id
RETURNING d.dedup_id
