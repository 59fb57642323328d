"""A regression guard that no busy machine disturbs: what a message costs a store, counted. Ceilings: tests/costs.py.

PostgreSQL's are counted where nothing is hidden: on the wire, by libpq's trace, in the server's statistics of its
tables, and in its write-ahead log.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite
import psycopg
import pytest
from psycopg.pq import Trace

from sqslite.adapters.clock import SystemClock
from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.backend import Backend
from sqslite.adapters.stores.postgres import connections
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.domain.messages import Delivery, NewMessage
from sqslite.domain.ports import Claim, Extension
from sqslite.domain.queues import Queue, QueueSettings
from tests import costs
from tests.costs import Costs

MESSAGE = NewMessage(body=b"x" * 100, max_retries=5)
VISIBILITY_MS = 60_000
BATCH = 100
# As often as it takes until the driver has prepared the statements, which it does once it has seen them a few times.
WARM_UP = 8
ROUNDS = 5
TRACE_FLAGS = Trace.SUPPRESS_TIMESTAMPS | Trace.REGRESS_MODE
ROWS = """
    SELECT n_tup_ins, n_tup_upd, n_tup_del, coalesce(idx_tup_fetch, 0), seq_tup_read
    FROM pg_stat_user_tables WHERE relid = 'sqslite.messages'::regclass
"""


@dataclass
class Life:
    """The calls of a message's life on one queue of a store."""

    backend: Backend
    queue: Queue
    held: list[Delivery]

    async def enqueue(self, count: int) -> None:
        await self.backend.store.enqueue(self.queue, [MESSAGE] * count)

    async def claim(self, count: int, expected: int | None = None) -> None:
        wish = Claim(limit=count, visibility_ms=VISIBILITY_MS, secrets=SystemEntropy().secrets(count))
        self.held = await self.backend.store.claim(self.queue, wish)
        assert len(self.held) == (count if expected is None else expected)

    async def extend(self) -> None:
        wishes = [Extension(delivery.receipt, VISIBILITY_MS) for delivery in self.held]
        assert await self.backend.store.extend(self.queue.partition_id, wishes)

    async def ack(self) -> None:
        assert await self.backend.store.ack(self.queue.partition_id, [delivery.receipt for delivery in self.held])

    async def whole(self, count: int) -> None:
        await self.enqueue(count)
        await self.claim(count)
        await self.ack()

    def calls(self, count: int) -> dict[str, Callable[[], Awaitable[None]]]:
        """In the order in which each finds what it needs."""
        return {
            "enqueue": lambda: self.enqueue(count),
            "claim": lambda: self.claim(count),
            "extend": self.extend,
            "ack": self.ack,
            "claim of an empty queue": lambda: self.claim(count, expected=0),
        }


async def counted(life: Life, count: int, costs_since_last: Callable[[], Costs]) -> dict[str, Costs]:
    """What each call costs when it is nothing new."""
    for _ in range(WARM_UP):
        for call in life.calls(count).values():
            await call()
    found = {}
    costs_since_last()
    for name, call in life.calls(count).items():
        await call()
        found[name] = costs_since_last()
    return found


class Wire:
    """Everything that connections say to PostgreSQL and are answered, as libpq writes it down."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        path.touch()

    def watch(self, session: psycopg.AsyncConnection[Any]) -> None:
        session.pgconn.trace(os.open(self._path, os.O_WRONLY | os.O_APPEND))
        session.pgconn.set_trace_flags(TRACE_FLAGS)

    def since_last(self) -> Costs:
        text = self._path.read_text(encoding="utf-8", errors="replace")
        lines = [line.split("\t") for line in text[self._read :].splitlines()]
        self._read = len(text)
        asked = [line[2] for line in lines if line[0] == "F" and len(line) > 2]
        return Costs(
            statements=sum(what in ("Execute", "Query") for what in asked),
            # Each request ends with one of these, and the client then waits for the answer.
            round_trips=sum(what in ("Sync", "Query") for what in asked),
            # The server is ready for the next, and within no transaction.
            commits=sum(line[0] == "B" and line[2:] == ["ReadyForQuery", " I"] for line in lines),
        )


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Watches every connection that a PostgreSQL backend makes from now on."""
    seen = Wire(tmp_path / "wire")

    class Watched(connections.Session):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            seen.watch(self)

    monkeypatch.setattr(connections, "Session", Watched)
    return seen


async def postgres_life(url: str) -> Life:
    backend = PostgresBackend(url, pool_size=1)
    await backend.open()
    await backend.migrate()
    return Life(backend, await backend.catalog.ensure("costs", QueueSettings()), [])


@pytest.mark.parametrize("count", [1, BATCH])
async def test_a_call_on_postgres_is_one_statement_one_round_trip_one_commit(
    postgres_url: str, wire: Wire, count: int
) -> None:
    life = await postgres_life(postgres_url)
    try:
        assert await counted(life, count, wire.since_last) == costs.POSTGRES_CALLS
    finally:
        await life.backend.close()


@pytest.mark.parametrize("count", [1, BATCH])
async def test_a_message_on_postgres_is_written_three_times_and_found_by_index(postgres_url: str, count: int) -> None:
    before = await rows_touched(postgres_url)
    for _ in range(ROUNDS):
        # Statistics are complete once the connections have ended.
        life = await postgres_life(postgres_url)
        await life.whole(count)
        await life.backend.close()
    inserted, updated, deleted, by_index, by_scan = [
        (after - earlier) / (ROUNDS * count)
        for earlier, after in zip(before, await rows_touched(postgres_url), strict=True)
    ]
    ceilings = costs.POSTGRES_ROWS
    assert (inserted, updated, deleted) == (ceilings["inserted"], ceilings["updated"], ceilings["deleted"])
    assert by_index <= ceilings["read by index"]
    assert by_scan <= ceilings["read by scan"]


async def rows_touched(url: str) -> Sequence[int]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as observer:
        backend = PostgresBackend(url)
        await backend.open()
        await backend.migrate()
        await backend.close()
        found = await (await observer.execute(ROWS)).fetchone()
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "count", "rounds"), [("one a call", 1, 10), ("batches of 100", BATCH, 1)])
async def test_bytes_of_wal_per_message(postgres_url: str, name: str, count: int, rounds: int) -> None:
    life = await postgres_life(postgres_url)
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as observer:
        # A checkpoint, or somebody else, can only add to it: the least of several is ours.
        written = []
        for _ in range(WARM_UP + ROUNDS):
            before = await wal_bytes(observer)
            for _ in range(rounds):
                await life.whole(count)
            written.append((await wal_bytes(observer) - before) / (rounds * count))
    await life.backend.close()
    ceiling = costs.POSTGRES_WAL_BYTES[name]
    assert ceiling * 0.6 <= min(written) <= ceiling, f"{min(written):.0f} bytes of WAL a message; ceiling {ceiling}"


async def wal_bytes(observer: psycopg.AsyncConnection[Any]) -> int:
    found = await (await observer.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")).fetchone()
    assert found is not None
    return int(found[0])


class Statements:
    """Every statement that SQLite's connections carry out."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def note(self, text: str) -> None:
        self._texts.append(text)

    def since_last(self) -> Costs:
        texts, self._texts = self._texts, []
        return Costs(statements=len(texts), round_trips=0, commits=sum(text == "COMMIT" for text in texts))


@pytest.fixture
async def sqlite_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Life, Statements]]:
    statements = Statements()
    connect = aiosqlite.connect

    async def watched(*arguments: Any, **options: Any) -> aiosqlite.Connection:
        connection = await connect(*arguments, **options)
        await connection.set_trace_callback(statements.note)
        return connection

    monkeypatch.setattr(aiosqlite, "connect", watched)
    backend = SqliteBackend(tmp_path / "costs.db", SystemClock())
    await backend.open()
    await backend.migrate()
    yield Life(backend, await backend.catalog.ensure("costs", QueueSettings()), []), statements
    await backend.close()


@pytest.mark.parametrize(("place", "count"), [(0, 1), (1, BATCH)])
async def test_a_call_on_sqlite_is_one_commit(sqlite_life: tuple[Life, Statements], place: int, count: int) -> None:
    life, statements = sqlite_life
    found = await counted(life, count, statements.since_last)
    assert {name: cost.statements for name, cost in found.items()} == {
        name: pair[place] for name, pair in costs.SQLITE_STATEMENTS.items()
    }
    assert all(cost.commits == 1 for cost in found.values())
