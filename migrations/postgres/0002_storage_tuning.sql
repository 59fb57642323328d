-- Every message is inserted, updated and deleted within its short life, so most of the table is soon dead. Vacuum it
-- by what has changed rather than by its size, and without pauses. Nothing depends on this step: to go back to the
-- server's own settings, ALTER TABLE sqslite.messages RESET (…).
ALTER TABLE sqslite.messages SET (
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_analyze_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0.01,
    toast.autovacuum_vacuum_threshold = 5000,
    toast.autovacuum_vacuum_cost_delay = 0
);
