SELECT group_id, turn
FROM message_groups INDEXED BY message_groups_in_turn
WHERE partition_id = :partition_id
  AND look_at = 0
  AND turn > :after_turn
ORDER BY turn
LIMIT :limit
