UPDATE redrives
SET moved       = moved + :moved,
    position_at = :position_at,
    position_id = :position_id,
    held_until  = :held_until
WHERE id = :id
