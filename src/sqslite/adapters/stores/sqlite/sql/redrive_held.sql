SELECT 1
FROM redrives
WHERE id = :id
  AND taken = :taken
  AND state = 'running'
