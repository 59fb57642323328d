-- What SQS asks for beside: what is known of a message's first claim and its dedup_id, and of a queue's past.

-- NULL: not changed since it was created.
ALTER TABLE queues ADD COLUMN changed_at INTEGER;
ALTER TABLE queues ADD COLUMN purged_at INTEGER;
CREATE INDEX queues_by_dlq ON queues (json_extract(settings, '$.dlq'), name);

-- Queues that were deleted lately.
CREATE TABLE deleted_queues (
    name       TEXT PRIMARY KEY,
    deleted_at INTEGER NOT NULL
);
CREATE INDEX deleted_queues_by_time ON deleted_queues (deleted_at);

-- Built anew, so that no column lies behind a body. max_retries 0 and dlq NULL: what the queue says.
CREATE TABLE messages_rebuilt (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_id          INTEGER NOT NULL,
    enqueued_at           INTEGER NOT NULL,
    not_before            INTEGER NOT NULL,
    -- Of the latest claim; and of the first one in its queue, which is written when the first lease ends.
    claimed_at            INTEGER,
    first_claimed_at      INTEGER,
    lease_until           INTEGER,
    expires_at            INTEGER,
    delivery_count        INTEGER NOT NULL DEFAULT 0,
    deliveries_before     INTEGER NOT NULL DEFAULT 0,
    max_retries           INTEGER NOT NULL,
    receipt_secret        BLOB,
    -- Whether its queue serves it by its group; its group_id is '' then where it has none.
    grouped               INTEGER NOT NULL DEFAULT 0,
    group_id              TEXT,
    dedup_id              TEXT,
    -- Which repeatable receive leased it last; NULL where it was none.
    attempt_id            TEXT,
    dlq                   TEXT,
    trace_id              TEXT,
    last_error            TEXT,
    origin_queue          TEXT,
    origin_delivery_count INTEGER,
    attributes            TEXT,
    body_kind             TEXT NOT NULL,
    -- Last, so that a long body does not stand between the start of the row and the columns above.
    body                  BLOB NOT NULL
);

INSERT INTO messages_rebuilt (
    id, partition_id, enqueued_at, not_before, claimed_at, lease_until, expires_at, delivery_count, deliveries_before,
    max_retries, receipt_secret, grouped, group_id, attempt_id, dlq, trace_id, last_error, origin_queue,
    origin_delivery_count, attributes, body_kind, body
)
SELECT
    id, partition_id, enqueued_at, not_before, claimed_at, lease_until, expires_at, delivery_count, deliveries_before,
    max_retries, receipt_secret, grouped, group_id, attempt_id, dlq, trace_id, last_error, origin_queue,
    origin_delivery_count, attributes, body_kind, body
FROM messages
ORDER BY id;

-- No id is ever used again, not even that of a message that was deleted before this.
DELETE FROM sqlite_sequence WHERE name = 'messages_rebuilt';
INSERT INTO sqlite_sequence (name, seq) SELECT 'messages_rebuilt', seq FROM sqlite_sequence WHERE name = 'messages';

-- Its indexes and triggers go with it.
DROP TABLE messages;
ALTER TABLE messages_rebuilt RENAME TO messages;

-- With lease_until, which is always NULL here, and expires_at the index alone answers a count and finds what to claim.
CREATE INDEX messages_ready ON messages (partition_id, not_before, id, lease_until, expires_at)
    WHERE lease_until IS NULL;
CREATE INDEX messages_in_flight ON messages (partition_id, lease_until, id) WHERE lease_until IS NOT NULL;
-- A leased message that outlives its retention is dealt with when its lease is settled.
CREATE INDEX messages_expiring ON messages (expires_at) WHERE expires_at IS NOT NULL AND lease_until IS NULL;
-- The heads of a group in a FIFO queue, and those in a fair one, which are also the next to come due.
CREATE INDEX messages_in_group ON messages (partition_id, group_id, id, not_before, lease_until, expires_at, grouped)
    WHERE grouped = 1 AND lease_until IS NULL;
CREATE INDEX messages_due_in_group ON messages (partition_id, group_id, not_before, id, lease_until, expires_at, grouped)
    WHERE grouped = 1 AND lease_until IS NULL;
-- What may block a group of a FIFO queue: few rows, whatever the backlog.
CREATE INDEX messages_delivered_in_group ON messages (partition_id, group_id, lease_until, not_before, id)
    WHERE grouped = 1 AND delivery_count > 0;
CREATE INDEX messages_of_attempt ON messages (partition_id, attempt_id) WHERE attempt_id IS NOT NULL;

CREATE TRIGGER depths_after_insert AFTER INSERT ON messages
BEGIN
    UPDATE depths
    SET unleased = unleased + (new.lease_until IS NULL),
        leased   = leased + (new.lease_until IS NOT NULL)
    WHERE partition_id = new.partition_id;
END;

CREATE TRIGGER depths_after_delete AFTER DELETE ON messages
BEGIN
    UPDATE depths
    SET unleased = unleased - (old.lease_until IS NULL),
        leased   = leased - (old.lease_until IS NOT NULL)
    WHERE partition_id = old.partition_id;
END;

CREATE TRIGGER depths_after_lease AFTER UPDATE OF lease_until ON messages
WHEN new.partition_id = old.partition_id AND (new.lease_until IS NULL) <> (old.lease_until IS NULL)
BEGIN
    UPDATE depths
    SET unleased = unleased + (new.lease_until IS NULL) - (old.lease_until IS NULL),
        leased   = leased + (new.lease_until IS NOT NULL) - (old.lease_until IS NOT NULL)
    WHERE partition_id = new.partition_id;
END;

CREATE TRIGGER depths_after_move AFTER UPDATE OF partition_id ON messages
WHEN new.partition_id <> old.partition_id
BEGIN
    UPDATE depths
    SET unleased = unleased - (old.lease_until IS NULL),
        leased   = leased - (old.lease_until IS NOT NULL)
    WHERE partition_id = old.partition_id;
    UPDATE depths
    SET unleased = unleased + (new.lease_until IS NULL),
        leased   = leased + (new.lease_until IS NOT NULL)
    WHERE partition_id = new.partition_id;
END;
