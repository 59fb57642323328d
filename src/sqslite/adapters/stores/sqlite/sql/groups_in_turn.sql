SELECT group_id
FROM message_groups INDEXED BY message_groups_in_turn
WHERE partition_id = :partition_id
  AND look_at = 0
ORDER BY turn
LIMIT :limit
