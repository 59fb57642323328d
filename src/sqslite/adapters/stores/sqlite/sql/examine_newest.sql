-- Of the last of them only: to look through all would take long.
SELECT max(enqueued_at) AS enqueued_at FROM (SELECT enqueued_at FROM messages ORDER BY id DESC LIMIT 1000)
