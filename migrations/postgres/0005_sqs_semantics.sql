-- What SQS asks for beside: what is known of a message's first claim and its dedup_id, and of a queue's past.
ALTER TABLE sqslite.messages
    -- The first claim in its queue; written when that lease ends, so NULL and claimed_at say it until then.
    ADD COLUMN first_claimed_at timestamptz,
    ADD COLUMN dedup_id text COLLATE "C";

ALTER TABLE sqslite.queues
    -- NULL: not changed since it was created.
    ADD COLUMN changed_at timestamptz,
    ADD COLUMN purged_at timestamptz;
CREATE INDEX queues_by_dlq ON sqslite.queues ((settings ->> 'dlq'), name) WHERE settings ->> 'dlq' IS NOT NULL;

-- Queues that were deleted lately.
CREATE TABLE sqslite.deleted_queues (
    name text COLLATE "C" PRIMARY KEY,
    deleted_at timestamptz NOT NULL
);
CREATE INDEX deleted_queues_by_time ON sqslite.deleted_queues (deleted_at);

-- As before, but max_retries 0 and dlq NULL are kept as they are: they mean what the queue says when a lease ends. And
-- the queue says what a dedup_id is known within, and whether the body stands for one.
CREATE OR REPLACE FUNCTION sqslite.enqueue(
    queue text,
    body text,
    body_kind text DEFAULT 'json',
    delay_ms bigint DEFAULT NULL,
    max_retries bigint DEFAULT NULL,
    dlq text DEFAULT NULL,
    trace_id text DEFAULT NULL,
    group_id text DEFAULT NULL,
    dedup_id text DEFAULT NULL,
    attributes jsonb DEFAULT NULL,
    retention_ms bigint DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sqslite, pg_temp AS $$
#variable_conflict use_column
DECLARE
    bytes bytea;
    size bigint;
    held sqslite.queues;
    size_max bigint;
    fifo boolean;
    grouped boolean;
    delay interval;
    kept_ms bigint;
    called_at timestamptz;
    message_id bigint;
    first_id bigint;
    kept_dedup_id text := enqueue.dedup_id;
    dedup_key text;
BEGIN
    PERFORM sqslite.check_queue_name('queue', enqueue.queue);
    bytes := sqslite.checked_body(enqueue.body, enqueue.body_kind);
    size := length(bytes) + sqslite.checked_attributes(enqueue.attributes);
    PERFORM sqslite.check_range('delay_ms', enqueue.delay_ms, 0, 1209600000);
    PERFORM sqslite.check_range('max_retries', enqueue.max_retries, 0, 1000);
    IF enqueue.dlq IS NOT NULL THEN
        PERFORM sqslite.check_queue_name('dlq', enqueue.dlq);
        IF enqueue.dlq = enqueue.queue THEN
            PERFORM sqslite.refuse('dlq', 'another queue than the message''s own', enqueue.dlq);
        END IF;
    END IF;
    PERFORM sqslite.check_text('trace_id', enqueue.trace_id, 256);
    PERFORM sqslite.check_id('group_id', enqueue.group_id, 128);
    PERFORM sqslite.check_id('dedup_id', enqueue.dedup_id, 128);
    PERFORM sqslite.check_range(
        'retention_ms', enqueue.retention_ms, 1, 1209600000, ' (0, for ever, only as a setting of the queue)'
    );

    held := sqslite.held_queue(enqueue.queue);
    size_max := coalesce((held.settings ->> 'body_bytes_max')::bigint, 1048576);
    IF size > size_max THEN
        RAISE EXCEPTION 'body must be at most % bytes, attributes included; got % bytes', size_max, size
        USING ERRCODE = 'invalid_parameter_value', SCHEMA = 'sqslite', COLUMN = 'body';
    END IF;
    fifo := coalesce((held.settings ->> 'fifo')::boolean, false);
    IF fifo AND enqueue.group_id IS NULL THEN
        PERFORM sqslite.refuse(
            'group_id', format('given for each message of %s, which is a FIFO queue', held.name), enqueue.group_id
        );
    END IF;
    grouped := fifo OR coalesce((held.settings ->> 'fair')::boolean, false);
    delay := coalesce(enqueue.delay_ms, (held.settings ->> 'delay_ms')::bigint, 0) * interval '1 millisecond';
    kept_ms := coalesce(enqueue.retention_ms, (held.settings ->> 'retention_ms')::bigint, 345600000);

    IF grouped THEN
        -- Before the id is drawn: so ids of a group grow in the order in which their transactions commit.
        INSERT INTO sqslite.message_groups AS g (partition_id, group_id, turn, look_at)
        VALUES (
            held.partition_id, coalesce(enqueue.group_id, ''), nextval('sqslite.turns'), clock_timestamp() + delay
        )
        ON CONFLICT (partition_id, group_id) DO UPDATE SET look_at = least(g.look_at, excluded.look_at);
    END IF;
    message_id := nextval('sqslite.messages_id_seq');
    IF kept_dedup_id IS NULL AND (held.settings ->> 'dedup_by_content')::boolean THEN
        kept_dedup_id := encode(sha256(bytes), 'hex');
    END IF;
    IF kept_dedup_id IS NOT NULL THEN
        dedup_key := CASE
            -- A control character, which is in no id, stands between.
            WHEN held.settings ->> 'dedup_scope' = 'group' THEN coalesce(enqueue.group_id, '') || chr(31) || kept_dedup_id
            ELSE kept_dedup_id
        END;
        first_id := sqslite.remembered_id(held, dedup_key, message_id);
        IF first_id <> message_id THEN
            RETURN first_id;
        END IF;
    END IF;
    -- Not now(), when the transaction began: claims look from where the last one ended, and find what turns up behind
    -- them late. The later the time, the less is late.
    called_at := clock_timestamp();
    INSERT INTO sqslite.messages (
        id, partition_id, body, body_kind, attributes, enqueued_at, not_before, expires_at, max_retries, dlq, trace_id,
        group_id, group_label, dedup_id
    )
    VALUES (
        message_id,
        held.partition_id,
        bytes,
        enqueue.body_kind,
        nullif(enqueue.attributes, '{}')::text,
        called_at,
        called_at + delay,
        called_at + nullif(kept_ms, 0) * interval '1 millisecond',
        coalesce(enqueue.max_retries, 0),
        enqueue.dlq,
        enqueue.trace_id,
        CASE WHEN grouped THEN coalesce(enqueue.group_id, '') END,
        CASE WHEN NOT grouped THEN enqueue.group_id END,
        kept_dedup_id
    );
    IF delay = interval '0' THEN
        PERFORM sqslite.wake(held.name);
    END IF;
    RETURN message_id;
END;
$$;
