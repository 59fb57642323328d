INSERT INTO sqslite.dedup AS d (partition_id, dedup_id, message_id, expires_at)
SELECT $1::bigint, sent.dedup_id, sent.message_id, {now} + $4::bigint * interval '1 millisecond'
FROM unnest($2::text[], $3::bigint[]) AS sent (dedup_id, message_id)
ORDER BY sent.dedup_id COLLATE "C"
ON CONFLICT (partition_id, dedup_id)
DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at
WHERE d.expires_at <= {now}
RETURNING d.dedup_id
