-- Of each group without a claimable message: whether it has any message, and when the next of them comes due.
SELECT
    asked.value AS group_id,
    (
        SELECT not_before
        FROM messages INDEXED BY messages_due_in_group
        WHERE grouped = 1 AND partition_id = :partition_id
          AND group_id = asked.value
          AND lease_until IS NULL
          AND not_before > :now
        ORDER BY not_before
        LIMIT 1
    ) AS due_at,
    EXISTS (
        SELECT 1
        FROM messages INDEXED BY messages_in_group
        WHERE grouped = 1 AND partition_id = :partition_id AND group_id = asked.value AND lease_until IS NULL
    ) OR EXISTS (
        SELECT 1
        FROM messages INDEXED BY messages_delivered_in_group
        WHERE grouped = 1 AND partition_id = :partition_id AND group_id = asked.value AND delivery_count > 0
    ) AS has_messages
FROM json_each(:groups) AS asked
