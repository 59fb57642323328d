UPDATE messages
SET lease_until = NULL,
    not_before  = :not_before,
    last_error  = coalesce(:error, last_error)
WHERE id = :id
