SELECT
    last_insert_rowid() AS last_id,
    EXISTS (SELECT 1 FROM queues WHERE partition_id = :partition_id) AS live
