UPDATE messages
SET lease_until      = NULL,
    not_before       = :not_before,
    first_claimed_at = coalesce(first_claimed_at, claimed_at),
    last_error       = coalesce(:error, last_error)
WHERE id = :id
