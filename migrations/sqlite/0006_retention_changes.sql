-- Queues whose retention was changed, and up to which message theirs were gone through. before_ms: how long they were
-- kept, 0 for ever.
CREATE TABLE retention_changes (
    partition_id INTEGER NOT NULL,
    before_ms    INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    after_id     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (partition_id, before_ms)
) WITHOUT ROWID;
