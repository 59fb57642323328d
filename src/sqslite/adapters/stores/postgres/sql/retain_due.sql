SELECT EXISTS (
    SELECT
    FROM sqslite.retention_changes
    WHERE changed_at <= {now} - $1::bigint * interval '1 millisecond'
)
