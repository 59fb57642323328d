-- What a queue does beside leasing: message groups, deduplication, retention, totals, redrives.
ALTER TABLE sqslite.queues ADD COLUMN paused boolean NOT NULL DEFAULT false;

ALTER TABLE sqslite.messages
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN deliveries_before integer NOT NULL DEFAULT 0,
    -- The group that a FIFO or fair queue serves in turn; '' is that of messages which named none.
    ADD COLUMN group_id text COLLATE "C",
    -- What a message of a queue without groups gave as its group.
    ADD COLUMN group_label text COLLATE "C",
    -- Which repeatable receive leased it last; NULL where it was none.
    ADD COLUMN attempt_id text COLLATE "C",
    ADD COLUMN attributes text;

-- With the id, a peek pages through leases by index.
DROP INDEX sqslite.messages_in_flight;
CREATE INDEX messages_in_flight ON sqslite.messages (partition_id, lease_until, id) WHERE lease_until IS NOT NULL;
-- A leased message that outlives its retention is dealt with when its lease is settled.
CREATE INDEX messages_expiring ON sqslite.messages (expires_at)
    WHERE lease_until IS NULL AND expires_at IS NOT NULL;
-- The heads of a group in a FIFO queue, and those in a fair one, which are also the next to come due.
CREATE INDEX messages_in_group ON sqslite.messages (partition_id, group_id, id)
    WHERE group_id IS NOT NULL AND lease_until IS NULL;
CREATE INDEX messages_due_in_group ON sqslite.messages (partition_id, group_id, not_before, id)
    WHERE group_id IS NOT NULL AND lease_until IS NULL;
-- What may block a group of a FIFO queue: few rows, whatever the backlog.
CREATE INDEX messages_delivered_in_group ON sqslite.messages (partition_id, group_id)
    WHERE group_id IS NOT NULL AND delivery_count > 0;
CREATE INDEX messages_of_attempt ON sqslite.messages (partition_id, attempt_id) WHERE attempt_id IS NOT NULL;

CREATE SEQUENCE sqslite.turns;
-- One row for each group of a FIFO or fair queue that has messages. Whoever changes what a FIFO group may give locks
-- its row: enqueue, claim, ack, settle; so each of them sees all that the others have done.
CREATE TABLE sqslite.message_groups (
    partition_id bigint NOT NULL,
    group_id text COLLATE "C" NOT NULL,
    -- Least first: drawn anew each time the group is served.
    turn bigint NOT NULL,
    -- When a claim should look at the group; NULL while it is known to have nothing to give.
    look_at timestamptz,
    PRIMARY KEY (partition_id, group_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);
-- With look_at in it, groups that wait are passed over within the index.
CREATE INDEX message_groups_in_turn ON sqslite.message_groups (partition_id, turn, look_at)
    WHERE look_at IS NOT NULL;

CREATE TABLE sqslite.dedup (
    partition_id bigint NOT NULL,
    dedup_id text COLLATE "C" NOT NULL,
    message_id bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (partition_id, dedup_id)
);
CREATE INDEX dedup_expiring ON sqslite.dedup (expires_at);

-- Partitions of purged and deleted queues, whose messages are deleted in steps.
CREATE TABLE sqslite.dropped_partitions (
    partition_id bigint PRIMARY KEY,
    dropped_at timestamptz NOT NULL
);

CREATE TABLE sqslite.totals (
    partition_id bigint PRIMARY KEY,
    enqueued bigint NOT NULL DEFAULT 0,
    received bigint NOT NULL DEFAULT 0,
    acked bigint NOT NULL DEFAULT 0,
    dead_lettered bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE sqslite.redrives (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition_id bigint NOT NULL,
    queue text NOT NULL,
    destination text,
    max_per_second integer,
    count_max bigint,
    state text NOT NULL,
    moved bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    position_at timestamptz,
    position_id bigint NOT NULL DEFAULT 0,
    taken integer NOT NULL DEFAULT 0,
    held_until timestamptz
);
CREATE UNIQUE INDEX redrives_running ON sqslite.redrives (partition_id) WHERE state = 'running';
CREATE INDEX redrives_of_partition ON sqslite.redrives (partition_id, id);
