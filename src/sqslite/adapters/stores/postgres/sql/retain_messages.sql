WITH concerned AS MATERIALIZED (
    SELECT m.id
    FROM sqslite.messages AS m
    WHERE
        m.partition_id = $1 AND m.id = ANY ($2::bigint[])
        AND m.expires_at IS NOT DISTINCT FROM m.enqueued_at + nullif($3::bigint, 0) * interval '1 millisecond'
),
held AS MATERIALIZED (
    SELECT m.id
    FROM sqslite.messages AS m
    WHERE
        m.partition_id = $1 AND m.id = ANY (ARRAY(SELECT id FROM concerned))
        AND m.expires_at IS NOT DISTINCT FROM m.enqueued_at + nullif($3::bigint, 0) * interval '1 millisecond'
    ORDER BY m.id
    -- Whoever has it locked may be in a long transaction of his own.
    FOR UPDATE SKIP LOCKED
),
kept AS (
    UPDATE sqslite.messages AS m
    SET expires_at = m.enqueued_at + nullif($4::bigint, 0) * interval '1 millisecond'
    WHERE m.partition_id = $1 AND m.id = ANY (ARRAY(SELECT id FROM held))
)
SELECT (SELECT count(*) FROM concerned) > (SELECT count(*) FROM held)
