DELETE FROM messages
WHERE id IN (
    SELECT id
    FROM messages INDEXED BY messages_expiring
    WHERE lease_until IS NULL
      AND expires_at IS NOT NULL
      AND expires_at <= :now
    ORDER BY expires_at
    LIMIT :limit
)
RETURNING partition_id, CASE grouped WHEN 1 THEN group_id END AS served_group
