SELECT id
FROM messages
WHERE id > :after_id
ORDER BY id
LIMIT :limit
