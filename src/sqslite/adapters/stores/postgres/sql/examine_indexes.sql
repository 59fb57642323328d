SELECT c.relname, i.indisvalid, pg_relation_size(c.oid), greatest(t.reltuples, 0)::float8
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = 'sqslite'
