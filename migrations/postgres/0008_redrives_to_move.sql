-- About how many messages there were to be moved when the task began.
ALTER TABLE sqslite.redrives ADD COLUMN to_move bigint NOT NULL DEFAULT 0;
