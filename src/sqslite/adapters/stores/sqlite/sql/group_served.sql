UPDATE message_groups
SET turn    = :turn,
    look_at = :look_at
WHERE partition_id = :partition_id
  AND group_id = :group_id
