DELETE FROM sqslite.messages
WHERE id = ANY ($1::bigint[])
RETURNING id, claimed_at
