SELECT id, not_before, lease_until, expires_at
FROM messages
WHERE id = coalesce(
    (
        SELECT min(id)
        FROM messages INDEXED BY messages_delivered_in_group
        WHERE grouped = 1 AND partition_id = :partition_id
          AND group_id = :group_id
          AND delivery_count > 0
          AND (lease_until IS NOT NULL OR not_before > :now AND (expires_at IS NULL OR expires_at > :now))
          AND id <> :id
    ),
    (
        SELECT id
        FROM messages INDEXED BY messages_in_group
        WHERE grouped = 1 AND partition_id = :partition_id
          AND group_id = :group_id
          AND lease_until IS NULL
          AND id < :id
          AND not_before <= :now
          AND (expires_at IS NULL OR expires_at > :now)
        ORDER BY id
        LIMIT 1
    )
)
