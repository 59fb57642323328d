-- About how many messages there were to be moved when the task began.
ALTER TABLE redrives ADD COLUMN to_move INTEGER NOT NULL DEFAULT 0;
