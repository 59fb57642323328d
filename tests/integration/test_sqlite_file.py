"""What is SQLite's own: the file, its durability, its other users, its errors."""

import asyncio
import contextlib
import multiprocessing
import sqlite3
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.migrations import Migration, load_migrations
from sqslite.adapters.stores.sqlite import backend as backend_module
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.domain.errors import OutcomeUnknown, Overloaded, SchemaTooNew, StoreUnavailable
from sqslite.domain.leases import Acked
from sqslite.domain.limits import BATCH_MAX, RETENTION_FOREVER, ms
from sqslite.domain.ports import Claim, Extension, MoveToDlq, RequeueAt
from sqslite.domain.queues import QueueSettings
from tests.conformance.world import World, message

BUSY_TIMEOUT_MS = 5_000


@contextlib.asynccontextmanager
async def opened(path: Path, clock: VirtualClock | None = None, **options):
    clock = clock or VirtualClock()
    backend = SqliteBackend(path, clock, **options)
    await backend.open()
    try:
        await backend.migrate()
        yield World(backend, clock, backend.store)
    finally:
        await backend.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def world(path: Path):
    async with opened(path, busy_timeout_ms=BUSY_TIMEOUT_MS, waiters_max=2) as world:
        yield world


@contextlib.contextmanager
def another_writer(path: Path):
    """Somebody else's write transaction, open until the end of the block."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def begun(call) -> asyncio.Task:
    """The call as a task that has its turn to write and has asked for the file."""
    task = asyncio.ensure_future(call)
    for _ in range(10):
        await asyncio.sleep(0)
    return task


def threads_started_since(before: set[threading.Thread]) -> list[threading.Thread]:
    """Those that do not end: one that has answered its last call may need a moment."""
    started = set(threading.enumerate()) - before
    for thread in started:
        thread.join(timeout=5)
    return [thread for thread in started if thread.is_alive()]


async def pragma(world: World, name: str) -> object:
    async def ask(writer):
        ((value,),) = await writer.execute_fetchall(f"PRAGMA {name}")
        return value

    return await world.backend._connections.write(ask)


class TestDurability:
    async def test_every_commit_is_on_the_disk_before_it_is_answered(self, world: World):
        assert (await pragma(world, "journal_mode"), await pragma(world, "synchronous")) == ("wal", 2)

    async def test_a_reader_can_neither_write_nor_checkpoint(self, world: World):
        ((query_only,),) = await world.backend._connections.read("PRAGMA query_only", {})
        assert query_only == 1

    async def test_a_reopened_file_has_everything(self, path: Path):
        clock = VirtualClock()
        async with opened(path, clock) as world:
            queue = await world.queue("orders", QueueSettings(max_retries=3))
            await world.enqueue(queue, message(b"1"), message(b"2", delay_ms=5_000))
            delivery = await world.claim_one(queue)
            before = await world.messages(queue)
        async with opened(path, clock) as world:
            assert await world.catalog.find("orders") == queue
            assert await world.messages(queue) == before
            assert await world.ack(delivery.receipt) == [Acked(clock.now(), queue.partition_id)]

    async def test_an_id_is_never_used_again(self, path: Path):
        async with opened(path) as world:
            queue = await world.queue()
            ids = await world.enqueue(queue, message(), message())
            await world.store.ack_unproven(ids)
        async with opened(path) as world:
            assert min(await world.enqueue(queue)) > max(ids)

    async def test_closing_leaves_no_log_and_no_thread(self, path: Path):
        before = set(threading.enumerate())
        async with opened(path) as world:
            await world.enqueue(await world.queue())
            assert path.with_name("queue.db-wal").stat().st_size > 0
        assert [entry.name for entry in path.parent.iterdir()] == ["queue.db"]
        assert threads_started_since(before) == []

    async def test_closing_waits_for_a_write_and_refuses_the_next(self, path: Path):
        async with opened(path) as world:
            queue = await world.queue()
            with another_writer(path):
                write = await begun(world.enqueue(queue))
                waits = asyncio.ensure_future(world.enqueue(queue))
                await asyncio.sleep(0)
                closing = asyncio.ensure_future(world.backend.close())
                await asyncio.sleep(0)
            assert await write
            with pytest.raises(StoreUnavailable, match="not open"):
                await waits
            await closing

    async def test_batches_of_the_greatest_size_pass_every_call(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        ids = await world.enqueue(queue, *[message() for _ in range(BATCH_MAX)])
        deliveries = await world.claim(queue, BATCH_MAX)
        receipts = [delivery.receipt for delivery in deliveries]
        assert [receipt.message_id for receipt in receipts] == ids
        extensions = [Extension(receipt, 1_000) for receipt in receipts]
        until = world.now + ms(1_000)
        assert await world.store.extend(queue.partition_id, extensions) == [until] * BATCH_MAX
        leases = (await world.store.held(queue.partition_id, receipts)).leases
        half = BATCH_MAX // 2
        settlements = [RequeueAt(lease, world.now) for lease in leases[:half]]
        settlements += [MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER) for lease in leases[half:]]
        assert await world.store.settle(queue.partition_id, settlements) == [True] * BATCH_MAX
        acked = await world.store.ack(queue.partition_id, receipts)
        assert [isinstance(outcome, Acked) for outcome in acked] == [True] * half + [False] * half
        assert await world.store.ack_unproven(ids[half:]) == [Acked(None, dlq.partition_id)] * half


class TestMigrations:
    async def test_a_newer_schema_is_refused_and_left_alone(self, path: Path):
        async with opened(path) as world:
            await world.enqueue(await world.queue())
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("INSERT INTO schema_migrations VALUES (9999, '9999_future', 0)")
            other.commit()
        with pytest.raises(SchemaTooNew, match="9999"):
            async with opened(path):
                pass
        with contextlib.closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM messages").fetchone() == (1,)

    async def test_a_migration_that_fails_leaves_nothing_behind(self, path: Path, monkeypatch):
        known = load_migrations("sqlite")
        broken = Migration(known[-1].version + 1, "9998_broken", "CREATE TABLE half (a);\nCREATE TABLE half (a);")
        monkeypatch.setattr(backend_module, "load_migrations", lambda _: [*known, broken])
        with pytest.raises(StoreUnavailable, match="half"):
            async with opened(path):
                pass
        with contextlib.closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT name FROM sqlite_master").fetchall() == []

    async def test_a_file_without_a_schema_is_not_ready(self, path: Path):
        backend = SqliteBackend(path, VirtualClock())
        await backend.open()
        try:
            with pytest.raises(StoreUnavailable, match="schema_migrations"):
                await backend.ping()
        finally:
            await backend.close()


class TestFilesThatCannotBeOpened:
    async def test_a_missing_folder_is_named(self, tmp_path: Path):
        path = tmp_path / "nowhere" / "queue.db"
        with pytest.raises(StoreUnavailable, match=f"{path}.*folder does not exist"):
            await SqliteBackend(path, VirtualClock()).open()

    async def test_a_path_that_is_a_folder_is_named(self, tmp_path: Path):
        with pytest.raises(StoreUnavailable, match=str(tmp_path)):
            await SqliteBackend(tmp_path, VirtualClock()).open()

    def test_a_file_of_something_else_is_named_and_left_alone(self, path: Path):
        path.write_bytes(content := b"Dear diary, " * 1_000)
        before = set(threading.enumerate())
        with pytest.raises(StoreUnavailable, match=f"{path}.*not a database"):
            asyncio.run(SqliteBackend(path, VirtualClock()).open())
        assert path.read_bytes() == content
        assert threads_started_since(before) == []

    async def test_a_store_that_is_not_open_says_so(self, path: Path):
        backend = SqliteBackend(path, VirtualClock())
        with pytest.raises(StoreUnavailable, match="not open"):
            await backend.catalog.find("orders")
        with pytest.raises(StoreUnavailable, match="not open"):
            await backend.store.enqueue(1, [message()])


class TestTrouble:
    async def test_a_file_kept_busy_by_another_process_is_overload(self, path: Path):
        async with opened(path, busy_timeout_ms=50) as world:
            queue = await world.queue()
            with another_writer(path):
                with pytest.raises(Overloaded, match="another process"):
                    await world.enqueue(queue)
                assert await world.messages(queue) == []
            assert await world.enqueue(queue)

    async def test_more_waiters_than_the_limit_are_turned_away_at_once(self, path: Path, world: World):
        queue = await world.queue()
        with another_writer(path):
            write = await begun(world.enqueue(queue))
            waiting = [asyncio.ensure_future(world.enqueue(queue)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="2 calls wait"):
                await world.enqueue(queue)
            assert not write.done()
        await asyncio.gather(write, *waiting)
        assert len(await world.messages(queue)) == 3

    async def test_a_cancelled_write_that_has_begun_is_carried_through(self, path: Path, world: World):
        queue = await world.queue()
        with another_writer(path):
            write = await begun(world.enqueue(queue, message(b"begun")))
            for _ in range(3):
                write.cancel()
                await asyncio.sleep(0)
            assert not write.done()
        with pytest.raises(asyncio.CancelledError):
            await write
        await world.enqueue(queue, message(b"next"))
        assert [m.body for m in await world.messages(queue)] == [b"begun", b"next"]

    async def test_a_cancelled_write_that_has_not_begun_does_nothing(self, path: Path, world: World):
        queue = await world.queue()
        with another_writer(path):
            write = await begun(world.enqueue(queue, message(b"begun")))
            waiting = asyncio.ensure_future(world.enqueue(queue, message(b"waiting")))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await write
        assert [m.body for m in await world.messages(queue)] == [b"begun"]

    async def test_a_cancelled_write_that_fails_leaves_the_store_usable(self, path: Path):
        async with opened(path, busy_timeout_ms=100) as world:
            queue = await world.queue()
            with another_writer(path):
                write = await begun(world.enqueue(queue))
                write.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await write
            await world.enqueue(queue)
            assert len(await world.messages(queue)) == 1

    async def test_a_full_disk_refuses_the_write_and_keeps_what_was_there(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        pages = await pragma(world, "page_count")
        await pragma(world, f"max_page_count = {pages}")
        with pytest.raises(StoreUnavailable, match="full"):
            await world.enqueue(queue, message(), message(b"x" * 100_000))
        assert len(await world.messages(queue)) == 1
        await pragma(world, f"max_page_count = {pages + 1_000}")
        await world.enqueue(queue, message(b"x" * 100_000))
        assert len(await world.messages(queue)) == 2

    async def test_work_that_fails_for_a_reason_of_its_own_is_rolled_back(self, world: World):
        queue = await world.queue()
        with pytest.raises(sqlite3.IntegrityError):
            await world.enqueue(queue, message(b"good"), message(None))
        assert await world.messages(queue) == []
        await world.enqueue(queue)

    async def test_a_commit_that_fails_has_an_unknown_outcome_and_the_next_write_connects_anew(self, world: World):
        queue = await world.queue()

        def forbid_commits(action, operation, *_):
            forbidden = action == sqlite3.SQLITE_TRANSACTION and operation == "COMMIT"
            return sqlite3.SQLITE_DENY if forbidden else sqlite3.SQLITE_OK

        await world.backend._connections._writer.set_authorizer(forbid_commits)
        with pytest.raises(OutcomeUnknown, match="commit failed"):
            await world.enqueue(queue, message(b"unknown"))
        await world.enqueue(queue, message(b"known"))
        assert [m.body for m in await world.messages(queue)] == [b"known"]
        assert (await pragma(world, "journal_mode"), await pragma(world, "synchronous")) == ("wal", 2)


PROCESSES = 3
MESSAGES_EACH = 60


async def _enqueue_and_drain(path: str) -> tuple[list[str], list[int], list[int]]:
    clock, entropy = VirtualClock(), SystemEntropy()
    backend = SqliteBackend(path, clock)
    await backend.open()
    try:
        migrated = await backend.migrate()
        queue = await backend.catalog.ensure("orders", QueueSettings())
        enqueued, acked = [], []
        for _ in range(MESSAGES_EACH):
            enqueued += [accepted.id for accepted in await backend.store.enqueue(queue, [message()])]
        claim = Claim(limit=7, visibility_ms=30_000, secrets=entropy.secrets(7))
        while deliveries := await backend.store.claim(queue, claim):
            outcomes = await backend.store.ack(queue.partition_id, [d.receipt for d in deliveries])
            assert all(isinstance(outcome, Acked) for outcome in outcomes)
            acked += [d.message.id for d in deliveries]
        return migrated, enqueued, acked
    finally:
        await backend.close()


def _process(path: str) -> tuple[list[str], list[int], list[int]]:
    return asyncio.run(_enqueue_and_drain(path))


class TestSeveralProcesses:
    def test_processes_on_one_file_migrate_it_once_and_share_every_message(self, path: Path):
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
            results = list(pool.map(_process, [str(path)] * PROCESSES))
        migrated, enqueued, acked = ([item for part in parts for item in part] for parts in zip(*results, strict=True))
        assert migrated == [migration.name for migration in load_migrations("sqlite")]
        assert len(set(enqueued)) == PROCESSES * MESSAGES_EACH
        assert sorted(acked) == sorted(enqueued)
