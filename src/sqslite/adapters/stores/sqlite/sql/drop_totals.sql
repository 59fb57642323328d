DELETE FROM totals
WHERE partition_id = :partition_id
