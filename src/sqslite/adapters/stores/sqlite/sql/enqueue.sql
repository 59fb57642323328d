INSERT INTO messages (partition_id, body, body_kind, enqueued_at, not_before, max_retries, dlq, trace_id)
VALUES (:partition_id, :body, :body_kind, :enqueued_at, :not_before, :max_retries, :dlq, :trace_id)
