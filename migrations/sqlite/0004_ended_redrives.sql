-- Tasks that ended long ago are found by it, and deleted.
CREATE INDEX redrives_ended ON redrives (ended_at) WHERE ended_at IS NOT NULL;
