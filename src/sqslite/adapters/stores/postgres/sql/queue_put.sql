WITH before AS MATERIALIZED (
    SELECT name, coalesce((settings ->> 'retention_ms')::bigint, $4) AS kept_ms
    FROM sqslite.queues
    WHERE name = $1
    -- No more than the update takes: an enqueue in a transaction under way holds the key.
    FOR NO KEY UPDATE
),
changed AS (
    UPDATE sqslite.queues AS q
    SET settings = $2::text::jsonb, changed_at = {now}
    -- The join has it locked before it is changed; what this statement has changed it cannot lock any more.
    FROM before
    WHERE
        q.name = $1 AND q.name = before.name AND coalesce((q.settings ->> 'fifo')::boolean, false) = $3
        AND q.settings <> $2::text::jsonb
    RETURNING {queue}
),
noted AS (
    INSERT INTO sqslite.retention_changes (partition_id, before_ms, changed_at)
    SELECT changed.partition_id, before.kept_ms, {now}
    FROM changed
    INNER JOIN before ON before.name = changed.name
    WHERE before.kept_ms <> coalesce(($2::text::jsonb ->> 'retention_ms')::bigint, $4)
    ON CONFLICT (partition_id, before_ms) DO UPDATE SET changed_at = excluded.changed_at, after_id = 0, missed = false
)
SELECT *
FROM changed
