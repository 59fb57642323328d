"""How PostgreSQL carries the statements out: by index at any size, and within what Citus allows."""

import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claim_cursor import BEGINNING
from sqslite.adapters.stores.postgres.database import with_time
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.leases import SECRET_BYTES
from sqslite.domain.limits import VISIBILITY_MS_MAX
from sqslite.domain.queues import QueueSettings

STATEMENTS = load_statements("sqslite.adapters.stores.postgres")
HOT = ("enqueue", "claim", "ack", "extend", "held", "expired", "settle_requeue", "settle_dead_letter")
MESSAGES = 50_000
OWN, LEASED_EVERY = 1, 10

# Partition 1 holds three quarters of the messages, others the rest; every tenth message is leased.
FILL = """
INSERT INTO sqslite.messages
    (partition_id, enqueued_at, not_before, max_retries, body_kind, body, lease_until, claimed_at, delivery_count,
    receipt_secret)
SELECT
    CASE WHEN n % 20 < 15 THEN 1 ELSE n % 20 END, at, at, 5, 'json', convert_to(rpad(n::text, 500), 'utf8'),
    CASE WHEN n % 10 = 0 THEN now() + n * interval '1 ms' END,
    CASE WHEN n % 10 = 0 THEN now() END,
    CASE WHEN n % 10 = 0 THEN 1 ELSE 0 END,
    CASE WHEN n % 10 = 0 THEN decode(lpad(to_hex(n), 32, '0'), 'hex') END
FROM generate_series(1, {count}) AS n, LATERAL (SELECT now() - interval '1 hour' + n * interval '1 ms' AS at) AS times
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(postgres_store_url: str) -> AsyncIterator[PostgresBackend]:
    backend = PostgresBackend(postgres_store_url, pool_size=2)
    await backend.open()
    await backend.migrate()
    run = _runner(backend)
    await run("TRUNCATE sqslite.messages, sqslite.queues RESTART IDENTITY")
    for number in range(1, 21):
        await backend.catalog.ensure(f"queue-{number}", QueueSettings())
    await run(FILL.replace("{count}", str(MESSAGES)))
    await run("VACUUM ANALYZE sqslite.messages")
    yield backend
    await run("TRUNCATE sqslite.messages, sqslite.queues RESTART IDENTITY")
    await backend.close()


def _runner(backend: PostgresBackend):
    async def run(sql: str) -> None:
        async with backend._connections._pool.connection() as connection:
            await connection.execute(sql.encode())

    return run


def _parameters(name: str, count: int) -> list[object]:
    ids = [LEASED_EVERY * n for n in range(1, count + 1)]
    secrets = [message_id.to_bytes(SECRET_BYTES, "big") for message_id in ids]
    now = datetime.now(UTC)
    settled = [OWN, ids, secrets, [now] * count, [now] * count, ["boom"] * count]
    return {
        "enqueue": [OWN, [b"1"] * count, ["json"] * count, [0] * count, [5] * count, ["dead"] * count, ["t"] * count],
        "claim": [OWN, count, 1_000, os.urandom(SECRET_BYTES * count), BEGINNING],
        "ack": [OWN, ids, secrets],
        "ack_unproven": [ids],
        "extend": [OWN, ids, secrets, [1_000] * count, VISIBILITY_MS_MAX],
        "held": [OWN, ids],
        "whereabouts": [ids],
        "expired": [OWN, count],
        "expired_anywhere": [count],
        "next_due": [],
        "settle_requeue": settled,
        "settle_dead_letter": [*settled, [2] * count, ["queue-1"] * count],
        "depths": [[1, 2, 16]],
        "peek": [OWN, 0, count],
    }[name]


@pytest.mark.parametrize("count", [1, 10, 1_000])
@pytest.mark.parametrize(
    "name", [*HOT, "ack_unproven", "whereabouts", "expired_anywhere", "next_due", "depths", "peek"]
)
@pytest.mark.asyncio(loop_scope="module")
async def test_no_statement_reads_the_whole_table_or_sorts_the_backlog(filled: PostgresBackend, name: str, count: int):
    sql = "EXPLAIN " + with_time(STATEMENTS[name], injected=False)
    plan = "\n".join(line for (line,) in await filled._connections.read(sql.encode(), _parameters(name, count)))
    assert not re.search(r"Seq Scan on messages", plan), plan
    for rows in re.findall(r"Sort +\(cost=\S+ rows=(\d+)", plan):
        assert int(rows) <= max(count, MESSAGES // LEASED_EVERY // 10), plan


@pytest.mark.asyncio(loop_scope="module")
async def test_a_plan_made_while_the_queue_was_empty_is_not_used_when_it_has_filled(filled: PostgresBackend):
    run = _runner(filled)
    await run("TRUNCATE sqslite.messages RESTART IDENTITY")
    await run("VACUUM ANALYZE sqslite.messages")
    for _ in range(30):
        await _claim(filled, OWN)
    await run(FILL.replace("{count}", "20000"))
    before = await _table_scans(filled)
    for _ in range(10):
        assert len(await _claim(filled, OWN)) == 10
    assert await _table_scans(filled) == before


async def _claim(backend: PostgresBackend, partition_id: int):
    return await backend.store.claim(partition_id, 10, 60_000, SystemEntropy().secrets(10))


async def _table_scans(backend: PostgresBackend) -> int:
    for session in list(backend._connections._pool._pool):
        await session.execute(b"SELECT pg_stat_force_next_flush()")
    sql = b"SELECT seq_scan FROM pg_stat_all_tables WHERE relid = 'sqslite.messages'::regclass"
    return (await backend._connections.read(sql, []))[0][0]


@pytest.mark.parametrize("name", HOT)
def test_every_hot_statement_names_its_partition_once_per_table(name: str):
    text = STATEMENTS[name]
    if name == "enqueue":
        assert "$1::bigint" in text
        return
    reads = len(re.findall(r"(?:FROM|JOIN|UPDATE) sqslite\.(?:messages|queues)", text))
    named = len(re.findall(r"\bpartition_id = \$1\b", text))
    assert named == reads


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_does_what_a_cluster_refuses(name: str):
    text = STATEMENTS[name]
    forbidden = r"clock_timestamp|random\(|gen_random|pg_advisory|nextval|coalesce\(\$|LOCK TABLE|\bSET LOCAL\b"
    assert not re.search(forbidden, text, re.IGNORECASE)
    returning = re.search(r"RETURNING\s+([^)]*?)(?:\n\)|$)", text, re.DOTALL)
    if returning:
        assert re.fullmatch(r"[\w.,:\s]+", returning[1]), "RETURNING takes bare columns"
    # What a write computes from the time must not involve a column of the table that it changes.
    assert not re.search(r"m\.\w+ [+-] [^\n]*\{now\}|\{now\} [+-] m\.", text)


@pytest.mark.parametrize("name", ["claim", "settle_requeue", "settle_dead_letter"])
def test_rows_are_picked_and_locked_once(name: str):
    """A plain sub-select may be run again for each row, and lock more than it was asked for."""
    before_lock = STATEMENTS[name].partition("FOR UPDATE")[0]
    assert before_lock.count("AS MATERIALIZED (") == 1
    assert "SKIP LOCKED" in STATEMENTS[name] or "ORDER BY m.id" in before_lock
