UPDATE sqslite.queues AS q
SET settings = $2::text::jsonb, changed_at = {now}
WHERE
    q.name = $1 AND coalesce((q.settings ->> 'fifo')::boolean, false) = $3 AND q.settings <> $2::text::jsonb
RETURNING {queue}
