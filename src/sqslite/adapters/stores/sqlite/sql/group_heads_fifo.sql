SELECT asked.key AS place, messages.id, messages.not_before
FROM json_each(:groups) AS asked
CROSS JOIN messages
WHERE messages.id IN (
    SELECT id
    FROM messages INDEXED BY messages_in_group
    WHERE grouped = 1 AND partition_id = :partition_id
      AND group_id = asked.value
      AND lease_until IS NULL
      AND not_before <= :now
      AND (expires_at IS NULL OR expires_at > :now)
    ORDER BY id
    LIMIT :per_group
)
