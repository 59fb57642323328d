-- Of each group: whether another message is leased, and until when the last of those that were delivered waits for its
-- retry, or would if its retention did not end before that.
SELECT
    asked.value AS group_id,
    EXISTS (
        SELECT 1
        FROM messages INDEXED BY messages_delivered_in_group
        WHERE grouped = 1 AND partition_id = :partition_id
          AND group_id = asked.value
          AND delivery_count > 0
          AND lease_until IS NOT NULL
    ) AS leased,
    (
        SELECT max(min(not_before, coalesce(expires_at, not_before)))
        FROM messages INDEXED BY messages_delivered_in_group
        WHERE grouped = 1 AND partition_id = :partition_id
          AND group_id = asked.value
          AND delivery_count > 0
          AND lease_until IS NULL
          AND not_before > :now
          AND (expires_at IS NULL OR expires_at > :now)
    ) AS waits_until
FROM json_each(:groups) AS asked
