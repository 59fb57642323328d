INSERT INTO dropped_partitions (partition_id, dropped_at)
VALUES (:partition_id, :dropped_at)
