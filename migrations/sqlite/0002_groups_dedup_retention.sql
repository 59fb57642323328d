-- What a queue does beside leasing: message groups, deduplication, retention, counts, totals, redrives.

ALTER TABLE queues ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;

-- Built anew, so that no column lies behind a body.
CREATE TABLE messages_rebuilt (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_id          INTEGER NOT NULL,
    enqueued_at           INTEGER NOT NULL,
    not_before            INTEGER NOT NULL,
    claimed_at            INTEGER,
    lease_until           INTEGER,
    expires_at            INTEGER,
    delivery_count        INTEGER NOT NULL DEFAULT 0,
    deliveries_before     INTEGER NOT NULL DEFAULT 0,
    max_retries           INTEGER NOT NULL,
    receipt_secret        BLOB,
    -- Whether its queue serves it by its group; its group_id is '' then where it has none.
    grouped               INTEGER NOT NULL DEFAULT 0,
    group_id              TEXT,
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
    id, partition_id, enqueued_at, not_before, claimed_at, lease_until, delivery_count, max_retries, receipt_secret,
    dlq, trace_id, last_error, origin_queue, origin_delivery_count, body_kind, body
)
SELECT
    id, partition_id, enqueued_at, not_before, claimed_at, lease_until, delivery_count, max_retries, receipt_secret,
    dlq, trace_id, last_error, origin_queue, origin_delivery_count, body_kind, body
FROM messages
ORDER BY id;

-- No id is ever used again, not even that of a message that was deleted before this.
DELETE FROM sqlite_sequence WHERE name = 'messages_rebuilt';
INSERT INTO sqlite_sequence (name, seq) SELECT 'messages_rebuilt', seq FROM sqlite_sequence WHERE name = 'messages';

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

-- One row for each group that has messages which are served by it.
CREATE TABLE message_groups (
    partition_id INTEGER NOT NULL,
    group_id     TEXT NOT NULL,
    -- Least first: drawn anew each time the group is served.
    turn         INTEGER NOT NULL,
    -- When a claim should look at the group, 0 at once; NULL while it is known that leases block it.
    look_at      INTEGER,
    PRIMARY KEY (partition_id, group_id)
);
CREATE INDEX message_groups_in_turn ON message_groups (partition_id, look_at, turn) WHERE look_at IS NOT NULL;

-- One row: the turn that was drawn last.
CREATE TABLE turns (last INTEGER NOT NULL);
INSERT INTO turns (last) VALUES (0);

CREATE TABLE dedup (
    partition_id INTEGER NOT NULL,
    dedup_id     TEXT NOT NULL,
    message_id   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (partition_id, dedup_id)
);
CREATE INDEX dedup_expiring ON dedup (expires_at);

-- Partitions of purged and deleted queues, whose messages are deleted in steps.
CREATE TABLE dropped_partitions (
    partition_id INTEGER PRIMARY KEY,
    dropped_at   INTEGER NOT NULL
);

CREATE TABLE totals (
    partition_id  INTEGER PRIMARY KEY,
    enqueued      INTEGER NOT NULL DEFAULT 0,
    received      INTEGER NOT NULL DEFAULT 0,
    acked         INTEGER NOT NULL DEFAULT 0,
    dead_lettered INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE redrives (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_id   INTEGER NOT NULL,
    queue          TEXT NOT NULL,
    destination    TEXT,
    max_per_second INTEGER,
    count_max      INTEGER,
    state          TEXT NOT NULL,
    moved          INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    ended_at       INTEGER,
    position_at    INTEGER,
    position_id    INTEGER NOT NULL DEFAULT 0,
    taken          INTEGER NOT NULL DEFAULT 0,
    held_until     INTEGER
);
CREATE UNIQUE INDEX redrives_running ON redrives (partition_id) WHERE state = 'running';
CREATE INDEX redrives_of_partition ON redrives (partition_id, id);

-- How many messages each partition has; kept by the triggers below, so that no statement can forget it.
CREATE TABLE depths (
    partition_id INTEGER PRIMARY KEY,
    unleased     INTEGER NOT NULL DEFAULT 0,
    leased       INTEGER NOT NULL DEFAULT 0
);

INSERT INTO depths (partition_id, unleased, leased)
SELECT
    partition_id,
    (SELECT count(*) FROM messages WHERE messages.partition_id = queues.partition_id AND lease_until IS NULL),
    (SELECT count(*) FROM messages WHERE messages.partition_id = queues.partition_id AND lease_until IS NOT NULL)
FROM queues;

CREATE TRIGGER depths_of_new_queue AFTER INSERT ON queues
BEGIN
    INSERT INTO depths (partition_id) VALUES (new.partition_id);
END;

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
