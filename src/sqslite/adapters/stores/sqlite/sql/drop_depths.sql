DELETE FROM depths
WHERE partition_id = :partition_id
