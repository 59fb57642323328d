SELECT dedup_id, message_id
FROM sqslite.dedup
WHERE partition_id = $1 AND dedup_id = ANY ($2::text[])
