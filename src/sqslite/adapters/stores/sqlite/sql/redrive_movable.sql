SELECT id, group_id, CASE grouped WHEN 1 THEN group_id END AS served_group
FROM messages NOT INDEXED
WHERE id IN (SELECT value FROM json_each(:ids))
  AND partition_id = :partition_id
  AND lease_until IS NULL
  AND not_before <= :now
  AND (expires_at IS NULL OR expires_at > :now)
