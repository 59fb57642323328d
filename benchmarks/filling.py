"""Messages by the million, written straight into PostgreSQL's table as if they had been enqueued long ago."""

import psycopg

ROWS_A_STATEMENT = 500_000
BODY_BYTES = 100

COLUMNS = "partition_id, body, body_kind, enqueued_at, not_before, expires_at, max_retries"
VALUES = f"""
    q.partition_id, convert_to(rpad(n::text, {BODY_BYTES}, '.'), 'UTF8'), 'text', {{since}}, {{since}} + {{delay}},
    now() + interval '4 days', 5
"""
# Spread over an hour, in order, as a backlog is.
READY = ("now() - interval '2 hours' + n * interval '1 hour' / {total}", "interval '0'")
DELAYED = ("now()", "interval '1 day' + n * interval '1 hour' / {total}")
LEASED_COLUMNS = ", claimed_at, lease_until, delivery_count, receipt_secret"
LEASED_VALUES = ", now(), now() + interval '1 day', 1, '\\x00112233445566778899aabbccddeeff'"


def fill(url: str, queue: str, count: int, state: str) -> None:
    """Add that many messages to a queue that is there: `ready`, `delayed` or `leased`, for a day; then vacuum."""
    since, delay = DELAYED if state == "delayed" else READY
    values = VALUES.format(since=since.format(total=count), delay=delay.format(total=count))
    leased = state == "leased"
    with psycopg.connect(url, autocommit=True) as connection:
        for first in range(0, count, ROWS_A_STATEMENT):
            last = min(first + ROWS_A_STATEMENT, count) - 1
            connection.execute(
                f"INSERT INTO sqslite.messages ({COLUMNS}{LEASED_COLUMNS if leased else ''}) "
                f"SELECT {values}{LEASED_VALUES if leased else ''} "
                f"FROM sqslite.queues AS q, generate_series({first}, {last}) AS n WHERE q.name = '{queue}'".encode()
            )
        connection.execute(b"VACUUM (ANALYZE) sqslite.messages")
        connection.execute(b"CHECKPOINT")
