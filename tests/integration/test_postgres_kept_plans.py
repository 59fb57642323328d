"""A plan that a connection keeps is made for any parameters, when little may have been there: it must do for all."""

import re
from collections.abc import AsyncIterator

import pytest
from psycopg import AsyncConnection

from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres import connections
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.database import statement_texts, with_time
from sqslite.domain.ports import Claim
from sqslite.domain.queues import QueueSettings
from tests.integration.postgres_server import fresh_database
from tests.integration.test_postgres_plans import (
    FILL,
    FILL_DEDUP,
    FILL_GROUP_ROWS,
    FILL_GROUPS,
    GROUPED,
    HOT,
    OTHERS,
    runner,
)

STATEMENTS = statement_texts()
# These are about a partition as a whole, and read no more of it than they are told.
OF_A_PARTITION = {"depths", "peek_leased", "tidy_messages", "tidy_groups", "tidy_partition"}
LEASED = "UPDATE sqslite.messages SET partition_id = 1, lease_until = now() + interval '1 h', delivery_count = 1"
THERE = {
    "messages of many queues": [FILL],
    "messages of one queue": [FILL, "UPDATE sqslite.messages SET partition_id = 1"],
    "leased messages of one queue": [FILL, LEASED],
    "messages in groups": [FILL_GROUPS.replace("{groups}", "100"), FILL_GROUP_ROWS],
}


@pytest.fixture
async def backend(postgres_server_url: str) -> AsyncIterator[PostgresBackend]:
    """In a database of its own, which has no statistics yet."""
    with fresh_database(postgres_server_url) as url:
        backend = PostgresBackend(url, pool_size=1)
        await backend.open()
        await backend.migrate()
        await backend.catalog.ensure("orders", QueueSettings())
        yield backend
        await backend.close()


@pytest.mark.parametrize("count", [0, 20, 200, 2_000, 20_000])
@pytest.mark.parametrize("there", THERE)
async def test_a_plan_goes_by_the_right_index_whatever_was_there_when_it_was_made(
    backend: PostgresBackend, there: str, count: int
):
    """Just filled, of which the statistics know nothing yet, and after they were brought up to date."""
    run = runner(backend)
    for sql in (*THERE[there], FILL_DEDUP):
        await run(sql.replace("{count}", str(count)))
    assert await _too_wide(backend) == []
    await run("VACUUM ANALYZE sqslite.messages, sqslite.message_groups, sqslite.dedup")
    assert await _too_wide(backend) == []


async def test_plans_made_for_a_drained_table_are_made_anew_when_it_has_filled(
    backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch
):
    """Where nothing is, every index costs the same: one that is as good as any other then may not be later."""
    run = runner(backend)
    await run(FILL.replace("{count}", "20000"))
    await run("ANALYZE sqslite.messages")
    await run("TRUNCATE sqslite.messages RESTART IDENTITY")
    await run("VACUUM ANALYZE sqslite.messages")
    monkeypatch.setattr(connections, "PLANS_KEPT_S", 3_600)
    for _ in range(2 * connections.PLANS_KEPT_CALLS):
        await _claim(backend)
    await run(FILL.replace("{count}", "20000"))
    monkeypatch.setattr(connections, "PLANS_KEPT_S", 0)
    for _ in range(connections.PLANS_KEPT_CALLS):
        assert len(await _claim(backend)) == 10
    before = await _read(backend)
    for _ in range(connections.PLANS_KEPT_CALLS):
        assert len(await _claim(backend)) == 10
    assert await _read(backend) - before < 1_000


async def _claim(backend: PostgresBackend):
    queue = await backend.catalog.find("orders")
    assert queue is not None
    assert queue.partition_id == 1
    return await backend.store.claim(queue, Claim(limit=10, visibility_ms=60_000, secrets=SystemEntropy().secrets(10)))


async def _read(backend: PostgresBackend) -> int:
    """The rows and entries of indexes that were read so far."""
    async with backend._connections._pool.connection() as session:
        await session.execute(b"SELECT pg_stat_force_next_flush()")
    sql = b"""
    SELECT (SELECT seq_tup_read FROM pg_stat_all_tables WHERE relid = 'sqslite.messages'::regclass)
        + (SELECT sum(idx_tup_read) FROM pg_stat_all_indexes WHERE relid = 'sqslite.messages'::regclass)
    """
    ((read,),) = await backend._connections.read(sql, [])
    return int(read)


async def _too_wide(backend: PostgresBackend) -> list[tuple[str, str]]:
    """Of each statement, what its plan reads beyond the messages that it is about."""
    async with backend._connections._pool.connection() as session:
        plans = {name: await _kept_plan(session, name) for name in (*HOT, *GROUPED, *OTHERS)}
    return [(name, scan) for name, plan in plans.items() for scan in _wide_scans(name, plan)]


async def _kept_plan(session: AsyncConnection, name: str) -> str:
    text = with_time(STATEMENTS[name], injected=False)
    count = len(set(re.findall(r"\$(\d+)", text)))
    given = f"({', '.join(['NULL'] * count)})" if count else ""
    await session.execute(f"PREPARE kept AS {text}".encode(), prepare=False)
    try:
        lines = await session.execute(f"EXPLAIN EXECUTE kept{given}".encode(), prepare=False)
        return "\n".join(line for (line,) in await lines.fetchall())
    finally:
        await session.execute(b"DEALLOCATE kept", prepare=False)


def _wide_scans(name: str, plan: str) -> list[str]:
    scans = re.findall(r"Seq Scan on (?:messages|message_groups|dedup)\b.*", plan)
    # What is named by id is found by the key: another index has the id behind other columns.
    scans += re.findall(r"\bmessages_(?:ready|in_flight)\b.*\n +Index Cond: .*\bid = .*", plan)
    if name not in OF_A_PARTITION:
        scans += re.findall(r"Scan (?:using|on) messages\w+.*\n +Index Cond: \(partition_id = \$1\)(?=\n|\Z)", plan)
    return scans
