INSERT INTO messages (
    partition_id, body, body_kind, attributes, enqueued_at, not_before, expires_at, max_retries, dlq, trace_id, grouped,
    group_id, dedup_id
)
VALUES (
    :partition_id, :body, :body_kind, :attributes, :enqueued_at, :not_before, :expires_at, :max_retries, :dlq,
    :trace_id, :grouped, :group_id, :dedup_id
)
