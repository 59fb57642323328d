UPDATE sqslite.redrives
SET
    moved = moved + $2::bigint,
    position_at = $3,
    position_id = $4,
    held_until = {now} + $5::bigint * interval '1 millisecond'
WHERE id = $1
RETURNING id
