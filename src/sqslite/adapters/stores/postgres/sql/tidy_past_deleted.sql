WITH past AS MATERIALIZED (
    SELECT name
    FROM sqslite.deleted_queues
    WHERE deleted_at <= {now} - $2::bigint * interval '1 millisecond'
    ORDER BY deleted_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
DELETE FROM sqslite.deleted_queues AS d
WHERE d.name = ANY (ARRAY(SELECT name FROM past))
RETURNING d.name
