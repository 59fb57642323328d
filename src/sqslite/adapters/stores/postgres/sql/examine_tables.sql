SELECT s.relname, s.n_live_tup, s.n_dead_tup, s.last_autovacuum
FROM pg_stat_user_tables s
WHERE s.schemaname = 'sqslite'
