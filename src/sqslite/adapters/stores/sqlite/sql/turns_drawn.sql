UPDATE turns
SET last = last + :count
RETURNING last
