UPDATE messages
SET lease_until = :lease_until
WHERE id = :id
