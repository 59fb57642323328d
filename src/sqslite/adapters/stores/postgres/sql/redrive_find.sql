SELECT {redrive}
FROM sqslite.redrives AS r
WHERE r.partition_id = $1 AND r.id = $2
