-- By the key, and not by partition and time: a message keeps its id whatever is done with it meanwhile.
SELECT id, partition_id
FROM sqslite.messages
WHERE id > $1
ORDER BY id
LIMIT $2
