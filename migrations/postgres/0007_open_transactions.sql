-- A transaction that enqueues or acks may last, and whatever it has locked in a group until then nobody else can change.
-- So it does not touch the group's row before it commits. Until then it holds no more of a FIFO group than what keeps
-- other senders out, whose messages would come before its own: claims, acks and settlements pass.

-- What a transaction is about to change in groups. Only itself ever sees a row: each is gone with its commit.
CREATE TABLE sqslite.group_changes (
    partition_id bigint NOT NULL,
    group_id text COLLATE "C" NOT NULL,
    -- 0 for a sender in a FIFO group, of whom there is one at a time; otherwise the transaction.
    changer bigint NOT NULL,
    -- When a claim should look at the group.
    look_at timestamptz NOT NULL,
    PRIMARY KEY (partition_id, group_id, changer)
) WITH (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE FUNCTION sqslite.change_group() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sqslite, pg_temp AS $$
BEGIN
    WITH change AS (
        DELETE FROM sqslite.group_changes AS c
        WHERE c.partition_id = new.partition_id AND c.group_id = new.group_id AND c.changer = new.changer
        RETURNING c.partition_id, c.group_id, c.look_at
    )
    INSERT INTO sqslite.message_groups AS g (partition_id, group_id, turn, look_at)
    SELECT change.partition_id, change.group_id, nextval('sqslite.turns'), change.look_at
    FROM change
    ON CONFLICT (partition_id, group_id) DO UPDATE SET look_at = least(g.look_at, excluded.look_at);
    RETURN NULL;
END;
$$;

CREATE CONSTRAINT TRIGGER changed_at_commit AFTER INSERT ON sqslite.group_changes
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION sqslite.change_group();

-- Have the group looked at once this transaction has committed. `in_order`: no other message is enqueued to it until then.
CREATE FUNCTION sqslite.join_group(partition_id bigint, group_id text, look_at timestamptz, in_order boolean) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO sqslite.group_changes AS c (partition_id, group_id, changer, look_at)
    VALUES (
        join_group.partition_id,
        join_group.group_id,
        CASE WHEN in_order THEN 0 ELSE pg_current_xact_id()::text::bigint END,
        join_group.look_at
    )
    ON CONFLICT (partition_id, group_id, changer) DO UPDATE SET look_at = least(c.look_at, excluded.look_at);
    FOR race IN 1..5 LOOP
        IF NOT in_order THEN
            RETURN;
        END IF;
        -- Senders of the service take the row for themselves, all others leave room for this.
        PERFORM FROM sqslite.message_groups AS g
        WHERE g.partition_id = join_group.partition_id AND g.group_id = join_group.group_id
        FOR KEY SHARE;
        IF FOUND THEN
            RETURN;
        END IF;
        INSERT INTO sqslite.message_groups (partition_id, group_id, turn)
        VALUES (join_group.partition_id, join_group.group_id, nextval('sqslite.turns'))
        ON CONFLICT (partition_id, group_id) DO NOTHING;
        IF FOUND THEN
            RETURN;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'group % comes and goes', group_id USING ERRCODE = 'serialization_failure';
END;
$$;

-- As before, but for what is done to the group.
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
        PERFORM sqslite.join_group(
            held.partition_id, coalesce(enqueue.group_id, ''), clock_timestamp() + delay, in_order => fifo
        );
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

CREATE OR REPLACE FUNCTION sqslite.ack(receipt text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sqslite, pg_temp AS $$
DECLARE
    malformed boolean := receipt IS NULL OR receipt !~ '^[A-Za-z0-9_-]{50}$';
    packed bytea;
    named_partition bigint;
    named_id bigint;
    gone record;
BEGIN
    IF NOT malformed THEN
        -- Version (1 byte), partition (8), message (8), delivery (4), secret (16).
        packed := decode(translate(receipt, '-_', '+/') || '==', 'base64');
        named_partition := ('x' || encode(substring(packed FROM 2 FOR 8), 'hex'))::bit(64)::bigint;
        named_id := ('x' || encode(substring(packed FROM 10 FOR 8), 'hex'))::bit(64)::bigint;
        malformed := get_byte(packed, 0) <> 1 OR named_partition < 0 OR named_id < 0
            -- A receipt has one spelling: spare bits in the last character would give it several.
            OR rtrim(translate(encode(packed, 'base64'), '+/', '-_'), '=') <> receipt;
    END IF;
    IF malformed THEN
        PERFORM sqslite.refuse('receipt', 'a receipt as handed out by a receive', receipt);
    END IF;

    DELETE FROM sqslite.messages AS m
    USING sqslite.queues AS q
    WHERE
        m.partition_id = named_partition AND m.id = named_id AND m.receipt_secret = substring(packed FROM 22 FOR 16)
        AND q.partition_id = m.partition_id
    RETURNING q.name, m.partition_id, m.group_id, (q.settings ->> 'fifo')::boolean AS fifo INTO gone;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF gone.group_id IS NOT NULL THEN
        PERFORM sqslite.join_group(gone.partition_id, gone.group_id, clock_timestamp(), in_order => false);
    END IF;
    IF gone.fifo THEN
        -- What came behind it in its group may be claimable now.
        PERFORM sqslite.wake(gone.name);
    END IF;
    RETURN true;
END;
$$;

REVOKE ALL ON FUNCTION sqslite.change_group, sqslite.join_group FROM PUBLIC;
