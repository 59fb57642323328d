"""What SQLite keeps beside the messages, and that it is right: counts, groups, numbers, files of the first schema."""

import random
import sqlite3
from pathlib import Path

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.migrations import load_migrations
from sqslite.adapters.stores.sqlite import backend as backend_module
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.adapters.stores.sqlite.rows import stored_instant
from sqslite.domain.leases import Lease
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import DEPTH_EXACT_MAX, RETENTION_FOREVER, ms
from sqslite.domain.ports import Delete, Depth, Move, MoveToDlq, Position, RequeueAt
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.domain.redrive import Redrive
from tests.conformance.world import World, message

FIFO = QueueSettings(fifo=True)
FAIR = QueueSettings(fair=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def world(path: Path):
    clock = VirtualClock()
    backend = SqliteBackend(path, clock)
    await backend.open()
    await backend.migrate()
    yield World(backend, clock, backend.store)
    await backend.close()


async def rows(world: World, sql: str) -> list[tuple]:
    return [tuple(row) for row in await world.backend._connections.read(sql, {})]


async def counted(world: World) -> dict[int, tuple[int, int]]:
    counts = await rows(
        world,
        "SELECT partition_id, coalesce(sum(lease_until IS NULL), 0), coalesce(sum(lease_until IS NOT NULL), 0)"
        " FROM queues LEFT JOIN messages USING (partition_id) WHERE id IS NOT NULL GROUP BY partition_id",
    )
    return {partition_id: (unleased, leased) for partition_id, unleased, leased in counts}


async def kept(world: World) -> dict[int, tuple[int, int]]:
    counts = await rows(world, "SELECT partition_id, unleased, leased FROM depths WHERE unleased <> 0 OR leased <> 0")
    return {partition_id: (unleased, leased) for partition_id, unleased, leased in counts}


class Busy:
    """Everything that may happen to three queues, at random."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.queues: list[Queue] = []

    async def begin(self) -> None:
        settings = [("orders", QueueSettings()), ("fair", FAIR), ("fifo", FIFO)]
        self.queues = [await self.world.queue(name, one) for name, one in settings]

    async def step(self) -> None:
        await self.random.choice(
            [self.enqueue, self.claim_and_ack, self.settle, self.clear, self.redrive, self.purge]
        )()

    async def enqueue(self) -> None:
        for queue in self.queues:
            chosen = [
                message(
                    group_id=self.random.choice("abc"),
                    delay_ms=self.random.choice([0, 0, 1_500]),
                    retention_ms=self.random.choice([RETENTION_FOREVER, 5_000]),
                )
                for _ in range(self.random.randint(1, 6))
            ]
            await self.world.enqueue(queue, *chosen)

    async def claim_and_ack(self) -> None:
        queue = self.random.choice(self.queues)
        receipts = [delivery.receipt for delivery in await self.world.claim(queue, 5, 1_000)]
        await self.world.store.ack(queue.partition_id, self.random.sample(receipts, len(receipts) // 2))

    async def settle(self) -> None:
        self.world.advance(700)
        expired = await self.world.store.expired(100)
        for lease in expired.leases:
            await self.world.store.settle(lease.receipt.partition_id, [self.settlement(lease)])

    def settlement(self, lease: Lease) -> RequeueAt | MoveToDlq | Delete:
        others = [queue for queue in self.queues if queue.partition_id != lease.receipt.partition_id]
        requeue = RequeueAt(lease, self.world.now + ms(self.random.choice([0, 2_000])))
        move = MoveToDlq(lease, self.random.choice(others), self.world.now, RETENTION_FOREVER)
        return self.random.choice([requeue, requeue, move, Delete(lease)])

    async def clear(self) -> None:
        await self.world.store.expire(3)
        await self.world.store.tidy(3)

    async def redrive(self) -> None:
        source, target = self.random.sample(self.queues, 2)
        running = [task for task in await self.world.redrives.page(source.partition_id, 1) if task.ended_at is None]
        if not running:
            task = Redrive(queue=source.name, partition_id=source.partition_id, created_at=self.world.now)
            await self.world.redrives.create(task)
        taken = await self.world.redrives.take(1)
        if taken is not None:
            found = await self.world.redrives.candidates(taken, 3)
            moves = [Move(message_id=one.id, target=target, dlq=None, retention_ms=RETENTION_FOREVER) for one in found]
            await self.world.redrives.advance(taken, moves, Position(self.world.now, 0), 1)
            await self.world.redrives.cancel(taken.partition_id, taken.id)

    async def purge(self) -> None:
        if self.random.random() < 0.2:
            queue = self.random.choice(self.queues)
            renewed = await self.world.catalog.renew(queue.name)
            self.queues = [renewed if one is queue and renewed else one for one in self.queues]


@pytest.mark.parametrize("seed", range(3))
async def test_counts_and_groups_are_right_whatever_happens(world: World, seed: int):
    busy = Busy(world, seed)
    await busy.begin()
    for _ in range(120):
        await busy.step()
        assert await kept(world) == await counted(world)
        live = "SELECT partition_id FROM queues"
        groups = await rows(world, f"SELECT partition_id, group_id FROM message_groups WHERE partition_id IN ({live})")
        grouped = f"SELECT DISTINCT partition_id, group_id FROM messages WHERE grouped AND partition_id IN ({live})"
        assert sorted(groups) == sorted(await rows(world, grouped))
        blocked = "SELECT partition_id, group_id FROM message_groups WHERE look_at IS NULL"
        leased = "SELECT partition_id, group_id FROM messages WHERE lease_until IS NOT NULL"
        assert set(await rows(world, blocked)) <= set(await rows(world, leased))


async def test_all_that_dropped_partitions_leave_is_tidied_up(world: World):
    tables = ("messages", "message_groups", "dedup", "redrives", "totals", "depths", "dropped_partitions")
    for name, settings in [("orders", QueueSettings()), ("fifo", FIFO)]:
        queue = await world.queue(name, settings)
        await world.enqueue(queue, *[message(group_id=f"{n}", dedup_id=f"{n}") for n in range(5)])
        await world.claim(queue, 2)
        await world.redrives.create(Redrive(queue=name, partition_id=queue.partition_id, created_at=world.now))
        assert await world.catalog.drop(name)
    tidied = [await world.store.tidy(4) for _ in range(9)]
    assert tidied == [4] * 7 + [1, 0]
    assert [await rows(world, f"SELECT * FROM {table}") for table in tables] == [[]] * len(tables)


async def test_a_partition_is_never_used_again(world: World):
    seen = {(await world.queue()).partition_id}
    for _ in range(3):
        renewed = await world.catalog.renew("orders")
        assert renewed is not None
        assert renewed.partition_id > max(seen)
        seen.add(renewed.partition_id)
        await world.catalog.drop("orders")
        while await world.store.tidy(10):
            pass
        again = await world.queue()
        assert again.partition_id > max(seen)
        seen.add(again.partition_id)


async def test_a_claim_passes_over_many_groups_that_have_nothing_to_give(world: World):
    queue = await world.queue(settings=FIFO)
    await world.enqueue(queue, *[message(group_id=f"{n}") for n in range(1_000)])
    await world.claim(queue, 1_000, 1_000)
    world.advance(1_000)
    expired = await world.store.expired(1_000)
    later = expired.now + ms(60_000)
    await world.store.settle(queue.partition_id, [RequeueAt(lease, later) for lease in expired.leases])
    await world.enqueue(queue, *[message(group_id=f"{n}") for n in range(1_000)])
    (free,) = await world.enqueue(queue, message(group_id="free"))
    assert (await world.claim_one(queue)).message.id == free
    assert await world.claim(queue) == []
    world.advance(60_000)
    assert len(await world.claim(queue, 1_000)) == 1_000


class TestDepthsBeyondExactCounting:
    async def filled(self, world: World, ready: int, delayed: int) -> Queue:
        queue = await world.queue()

        async def fill(writer):
            insert = (
                "INSERT INTO messages (partition_id, enqueued_at, not_before, max_retries, body_kind, body)"
                " VALUES (?, 0, ?, 5, 'json', '1')"
            )
            now, later = stored_instant(world.now), stored_instant(world.now + ms(1))
            at = [now] * ready + [later] * delayed
            await writer.executemany(insert, [(queue.partition_id, not_before) for not_before in at])

        await world.backend._connections.write(fill)
        return queue

    @pytest.mark.parametrize(
        ("ready", "delayed", "approximate"),
        [
            (DEPTH_EXACT_MAX, DEPTH_EXACT_MAX + 500, False),
            (DEPTH_EXACT_MAX + 500, DEPTH_EXACT_MAX, False),
            (DEPTH_EXACT_MAX + 500, DEPTH_EXACT_MAX + 500, True),
        ],
    )
    async def test_a_count_is_estimated_only_where_both_are_beyond(self, world: World, ready, delayed, approximate):
        queue = await self.filled(world, ready, delayed)
        (depth,) = await world.stats.depths([queue])
        assert (depth.approximate, depth.ready + depth.delayed) == (approximate, ready + delayed)
        if not approximate:
            assert (depth.ready, depth.delayed) == (ready, delayed)
        assert min(depth.ready, depth.delayed) > DEPTH_EXACT_MAX - (not approximate)


class TestFromTheFirstSchema:
    async def test_messages_ids_and_counts_survive(self, path: Path, monkeypatch: pytest.MonkeyPatch):
        clock = VirtualClock()
        first = SqliteBackend(path, clock)
        await first.open()
        with monkeypatch.context() as patched:
            patched.setattr(backend_module, "load_migrations", lambda name: load_migrations(name)[:1])
            await first.migrate()
        await first.close()
        now = stored_instant(clock.now())
        with sqlite3.connect(path) as old:
            old.execute("INSERT INTO queues (name, settings, created_at) VALUES ('orders', '{}', ?)", (now,))
            insert = (
                "INSERT INTO messages (partition_id, enqueued_at, not_before, claimed_at, lease_until, delivery_count,"
                " max_retries, receipt_secret, dlq, trace_id, last_error, origin_queue, origin_delivery_count,"
                " body_kind, body) VALUES (1, ?, ?, ?, ?, ?, 5, ?, 'dead', 'trace', 'error', 'source', 3, 'text', ?)"
            )
            later, secret = now + 1_000_000, b"0123456789abcdef"
            old.execute(insert, (now, now, None, None, 0, None, b"ready"))
            old.execute(insert, (now, later, None, None, 0, None, b"delayed"))
            old.execute(insert, (now, now, now, later, 2, secret, b"leased"))
            old.execute(insert, (now, now, None, None, 0, None, b"last"))
            old.execute("DELETE FROM messages WHERE body = ?", (b"last",))
        old.close()
        backend = SqliteBackend(path, clock)
        await backend.open()
        world = World(backend, clock, backend.store)
        try:
            assert await backend.migrate() == [migration.name for migration in load_migrations("sqlite")[1:]]
            queue = await world.queue()
            assert await world.stats.depths([queue]) == [
                Depth(queue="orders", ready=1, delayed=1, in_flight=1, oldest_ready_age_ms=0)
            ]
            found = await world.messages(queue)
            assert [(one.id, one.body) for one in found] == [(1, b"ready"), (2, b"delayed"), (3, b"leased")]
            (leased,) = await world.stats.peek(queue.partition_id, State.LEASED, None, 10)
            assert (leased.max_retries, leased.dlq, leased.trace_id, leased.last_error) == (5, "dead", "trace", "error")
            assert (leased.origin_queue, leased.origin_delivery_count, leased.delivery_count) == ("source", 3, 2)
            assert (leased.lease_until, leased.expires_at) == (world.now + ms(1_000), None)
            assert (leased.attributes, leased.group_id, leased.deliveries_before) == ({}, None, 0)
            # 4 was given to a message that is gone.
            assert await world.enqueue(queue) == [5]
            assert [delivery.message.id for delivery in await world.claim(queue)] == [1, 5]
        finally:
            await backend.close()
