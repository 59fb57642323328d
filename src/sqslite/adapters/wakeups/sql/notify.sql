SELECT pg_notify('sqslite_wakeups', payload) FROM unnest($1::text[]) AS payload
