WITH free AS MATERIALIZED (
    SELECT id
    FROM sqslite.redrives
    WHERE state = 'running' AND (held_until IS NULL OR held_until <= {now})
    ORDER BY held_until NULLS FIRST, id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE sqslite.redrives AS r
SET taken = r.taken + 1, held_until = {now} + $1::bigint * interval '1 millisecond'
FROM free
WHERE r.id = free.id
RETURNING {redrive}
