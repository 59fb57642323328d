WITH past AS MATERIALIZED (
    SELECT id
    FROM sqslite.redrives
    WHERE ended_at <= {now} - $2::bigint * interval '1 millisecond'
    ORDER BY ended_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
DELETE FROM sqslite.redrives AS r
WHERE r.id = ANY (ARRAY(SELECT id FROM past))
RETURNING r.id
