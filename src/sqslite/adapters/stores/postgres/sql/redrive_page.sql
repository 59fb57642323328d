SELECT {redrive}
FROM sqslite.redrives AS r
WHERE r.partition_id = $1
ORDER BY r.id DESC
LIMIT $2
