INSERT INTO message_groups (partition_id, group_id, turn, look_at)
VALUES (:partition_id, :group_id, :turn, :look_at)
-- NULL stays: a group that its leases block has nothing to give because of a message more.
ON CONFLICT (partition_id, group_id) DO UPDATE SET look_at = min(look_at, excluded.look_at)
