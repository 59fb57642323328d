-- Enqueue and ack as functions, for whoever wants them in a transaction of their own. Their rules and limits are those
-- of the domain (accepting.py, limits.py, leases.py), which SQL cannot read; tests compare the two.
--
-- Those meant for callers are SECURITY DEFINER: an application needs EXECUTE on them and no right to any table, so it
-- can neither read what others sent nor break what the claims rely on. With the search path fixed, nothing that a
-- caller has put into a schema of its own can take the place of a name in here.

-- Error texts as the service makes them, in one line: "<field> must be <allowed>; got <value as JSON>".
CREATE OR REPLACE FUNCTION sqslite.refuse(field text, allowed text, value anyelement) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    shown text := coalesce(to_json(value)::text, 'null');
BEGIN
    IF length(shown) > 80 THEN
        shown := format('%s… (%s characters)', left(shown, 55), length(shown));
    END IF;
    RAISE EXCEPTION '% must be %; got %', field, allowed, shown
    USING ERRCODE = 'invalid_parameter_value', SCHEMA = 'sqslite', COLUMN = field;
END;
$$;

CREATE OR REPLACE FUNCTION sqslite.check_range(
    field text, value bigint, low bigint, high bigint, remark text DEFAULT ''
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF value NOT BETWEEN low AND high THEN
        PERFORM sqslite.refuse(field, format('%s to %s%s', low, high, remark), value);
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION sqslite.check_queue_name(field text, name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF name ~ '^[A-Za-z0-9_.-]{1,80}$' THEN
        RETURN;
    END IF;
    PERFORM sqslite.refuse(field, '1 to 80 of the characters A-Z a-z 0-9 _ - .', name);
END;
$$;

CREATE OR REPLACE FUNCTION sqslite.check_text(field text, value text, chars_max integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF length(value) > chars_max THEN
        PERFORM sqslite.refuse(field, format('at most %s characters', chars_max), value);
    ELSIF value ~ '[\u0001-\u001f\u007f-\u009f]' THEN
        PERFORM sqslite.refuse(field, 'free of control characters', value);
    END IF;
END;
$$;

CREATE OR REPLACE FUNCTION sqslite.check_id(field text, value text, chars_max integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF value = '' THEN
        PERFORM sqslite.refuse(field, format('1 to %s characters', chars_max), value);
    END IF;
    PERFORM sqslite.check_text(field, value, chars_max);
END;
$$;

-- How many bytes the attributes add to the body. NULL: there are none.
CREATE OR REPLACE FUNCTION sqslite.checked_attributes(attributes jsonb) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    attribute record;
    attribute_count integer := 0;
    size bigint := 0;
BEGIN
    IF attributes IS NULL THEN
        RETURN 0;
    ELSIF jsonb_typeof(attributes) <> 'object' THEN
        PERFORM sqslite.refuse('attributes', 'an object of strings', attributes);
    END IF;
    FOR attribute IN SELECT key, value, value #>> '{}' AS text FROM jsonb_each(attributes) LOOP
        PERFORM sqslite.check_id('attributes', attribute.key, 256);
        IF jsonb_typeof(attribute.value) <> 'string' THEN
            PERFORM sqslite.refuse('attributes.' || attribute.key, 'a string', attribute.value);
        END IF;
        attribute_count := attribute_count + 1;
        size := size + length(convert_to(attribute.key, 'UTF8')) + length(convert_to(attribute.text, 'UTF8'));
    END LOOP;
    IF attribute_count > 50 THEN
        PERFORM sqslite.refuse('attributes', 'at most 50 attributes', attribute_count);
    END IF;
    RETURN size;
END;
$$;

-- The bytes of a body: what is JSON or text as it was given, not a byte changed.
CREATE OR REPLACE FUNCTION sqslite.checked_body(body text, body_kind text) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
    bytes bytea;
BEGIN
    IF body_kind IS NULL OR body_kind NOT IN ('json', 'text', 'binary') THEN
        PERFORM sqslite.refuse('body_kind', 'json, text or binary', body_kind);
    ELSIF body_kind = 'binary' THEN
        BEGIN
            bytes := decode(body, 'base64');
        EXCEPTION WHEN invalid_parameter_value THEN
            PERFORM sqslite.refuse('body', 'base64 when body_kind is binary', body);
        END;
    ELSE
        bytes := convert_to(body, 'UTF8');
    END IF;
    IF body IS NULL THEN
        PERFORM sqslite.refuse('body', 'any JSON value except null', body);
    ELSIF bytes = '' THEN
        PERFORM sqslite.refuse('body', 'at least one byte long', body);
    ELSIF body_kind = 'json' THEN
        BEGIN
            IF json_typeof(body::json) = 'null' THEN
                PERFORM sqslite.refuse('body', 'any JSON value except null', NULL::text);
            END IF;
        EXCEPTION WHEN invalid_text_representation THEN
            PERFORM sqslite.refuse('body', 'JSON when body_kind is json', body);
        END;
    END IF;
    RETURN bytes;
END;
$$;

-- The queue of that name, created where there is none, as it will be until the transaction ends.
CREATE OR REPLACE FUNCTION sqslite.held_queue(queue text) RETURNS sqslite.queues
LANGUAGE plpgsql AS $$
DECLARE
    held sqslite.queues;
BEGIN
    FOR race IN 1..5 LOOP
        -- A purge changes partition_id and a delete removes the row, so both wait for this lock: they cannot drop the
        -- partition between the insert of the message and its commit, or it would be gone although the commit
        -- succeeded. It keeps out nothing else: not one another, nor a change of settings.
        SELECT * INTO held FROM sqslite.queues AS q WHERE q.name = held_queue.queue FOR KEY SHARE;
        IF FOUND THEN
            RETURN held;
        END IF;
        INSERT INTO sqslite.queues AS q (name, settings, created_at)
        VALUES (held_queue.queue, '{}', clock_timestamp())
        ON CONFLICT (name) DO NOTHING
        RETURNING q.* INTO held;
        IF FOUND THEN
            RETURN held;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'queue % comes and goes', queue USING ERRCODE = 'serialization_failure';
END;
$$;

-- The id that the dedup_id stands for: the given one where it is new. Whoever sends the same one waits for this commit.
CREATE OR REPLACE FUNCTION sqslite.remembered_id(held sqslite.queues, dedup_id text, message_id bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    dedup_ms bigint := coalesce((held.settings ->> 'dedup_ms')::bigint, 300000);
    called_at timestamptz;
    first_id bigint;
BEGIN
    FOR race IN 1..5 LOOP
        called_at := clock_timestamp();
        INSERT INTO sqslite.dedup AS d (partition_id, dedup_id, message_id, expires_at)
        VALUES (
            held.partition_id, remembered_id.dedup_id, remembered_id.message_id,
            called_at + dedup_ms * interval '1 millisecond'
        )
        ON CONFLICT (partition_id, dedup_id)
        DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at
        WHERE d.expires_at <= called_at
        RETURNING d.message_id INTO first_id;
        IF FOUND THEN
            RETURN first_id;
        END IF;
        SELECT d.message_id INTO first_id
        FROM sqslite.dedup AS d
        WHERE d.partition_id = held.partition_id AND d.dedup_id = remembered_id.dedup_id;
        IF FOUND THEN
            RETURN first_id;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'dedup_id % comes and goes', dedup_id USING ERRCODE = 'serialization_failure';
END;
$$;

-- Tells waiting receives with the commit, and not at all after a rollback. PostgreSQL lets commits with a notification
-- pass one at a time, so whoever sends a lot may turn it off (sqslite.wakeups): waiting receives also look by themselves.
CREATE OR REPLACE FUNCTION sqslite.wake(queue text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('sqslite.wakeups', true) IS DISTINCT FROM 'off' THEN
        PERFORM pg_notify('sqslite_wakeups', json_build_object('queue', queue, 'count', 1)::text);
    END IF;
END;
$$;

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
    IF enqueue.dedup_id IS NOT NULL THEN
        first_id := sqslite.remembered_id(held, enqueue.dedup_id, message_id);
        IF first_id <> message_id THEN
            RETURN first_id;
        END IF;
    END IF;
    -- Not now(), when the transaction began: claims look from where the last one ended, and find what turns up behind
    -- them late. The later the time, the less is late.
    called_at := clock_timestamp();
    INSERT INTO sqslite.messages (
        id, partition_id, body, body_kind, attributes, enqueued_at, not_before, expires_at, max_retries, dlq, trace_id,
        group_id, group_label
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
        coalesce(nullif(enqueue.max_retries, 0), (held.settings ->> 'max_retries')::bigint, 5),
        coalesce(enqueue.dlq, held.settings ->> 'dlq'),
        enqueue.trace_id,
        CASE WHEN grouped THEN coalesce(enqueue.group_id, '') END,
        CASE WHEN NOT grouped THEN enqueue.group_id END
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
    UPDATE sqslite.message_groups AS g
    SET look_at = clock_timestamp()
    WHERE g.partition_id = gone.partition_id AND g.group_id = gone.group_id;
    IF gone.fifo THEN
        -- What came behind it in its group may be claimable now.
        PERFORM sqslite.wake(gone.name);
    END IF;
    RETURN true;
END;
$$;

-- Functions are everybody's unless somebody says otherwise.
REVOKE ALL ON FUNCTION
    sqslite.refuse, sqslite.check_range, sqslite.check_queue_name, sqslite.check_text, sqslite.check_id,
    sqslite.checked_attributes, sqslite.checked_body, sqslite.held_queue, sqslite.remembered_id, sqslite.wake,
    sqslite.enqueue, sqslite.ack
FROM PUBLIC;
