-- Queues whose retention was changed, and up to which message theirs were gone through. before_ms: how long they were
-- kept, 0 for ever. missed: some were locked, so that they are all gone through once more.
CREATE TABLE sqslite.retention_changes (
    partition_id bigint NOT NULL,
    before_ms bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    after_id bigint NOT NULL DEFAULT 0,
    missed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (partition_id, before_ms)
);
