-- Of the last of them only: to look through all would take long.
SELECT max(enqueued_at) AS enqueued_at FROM (SELECT enqueued_at FROM messages WHERE id > 0 ORDER BY id DESC LIMIT 1000)
