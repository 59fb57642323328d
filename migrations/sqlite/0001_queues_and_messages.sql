-- Instants are whole microseconds since the Unix epoch, UTC.

CREATE TABLE queues (
    -- AUTOINCREMENT: no partition and no id is ever used again, not even after the last one was deleted.
    partition_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE,
    settings     TEXT NOT NULL,
    created_at   INTEGER NOT NULL
);

CREATE TABLE messages (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_id          INTEGER NOT NULL,
    enqueued_at           INTEGER NOT NULL,
    not_before            INTEGER NOT NULL,
    claimed_at            INTEGER,
    lease_until           INTEGER,
    delivery_count        INTEGER NOT NULL DEFAULT 0,
    max_retries           INTEGER NOT NULL,
    receipt_secret        BLOB,
    dlq                   TEXT,
    trace_id              TEXT,
    last_error            TEXT,
    origin_queue          TEXT,
    origin_delivery_count INTEGER,
    body_kind             TEXT NOT NULL,
    -- Last, so that a long body does not stand between the start of the row and the columns above.
    body                  BLOB NOT NULL
);

-- lease_until is always NULL here; with it the index alone answers a count, and no body is ever paged in for one.
CREATE INDEX messages_ready ON messages (partition_id, not_before, id, lease_until) WHERE lease_until IS NULL;

CREATE INDEX messages_in_flight ON messages (partition_id, lease_until) WHERE lease_until IS NOT NULL;
