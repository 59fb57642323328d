"""Calls that meet on PostgreSQL: duplicates, purges, redrives, attempts, totals."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest

from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres import retaining
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.domain.ports import Claim, Move, PartitionDropped, Position, Totals
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.domain.redrive import Redrive
from tests.integration.messages import new_message

RACERS = 20
DISCIPLINES = [QueueSettings(), QueueSettings(fair=True), QueueSettings(fifo=True)]
NAMES = ["standard", "fair", "fifo"]


@pytest.fixture
async def nodes(
    postgres_on_its_own_time: PostgresBackend, postgres_store_url: str
) -> AsyncIterator[list[PostgresBackend]]:
    other = PostgresBackend(postgres_store_url, pool_size=8)
    await other.open()
    yield [postgres_on_its_own_time, other]
    await other.close()


async def _claimed(node: PostgresBackend, queue: Queue, attempt_id: str | None = None) -> list[int]:
    claim = Claim(limit=1_000, visibility_ms=60_000, secrets=SystemEntropy().secrets(1_000), attempt_id=attempt_id)
    return [delivery.message.id for delivery in await node.store.claim(queue, claim)]


async def _deadlocks(node: PostgresBackend) -> int:
    sql = b"SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()"
    return (await node._connections.read(sql, []))[0][0]


@pytest.mark.parametrize("settings", DISCIPLINES, ids=NAMES)
async def test_a_dedup_id_sent_by_many_at_once_is_kept_once(nodes: list[PostgresBackend], settings: QueueSettings):
    queue = await nodes[0].catalog.ensure("orders", settings)
    batch = [new_message(group_id=f"g{n}", dedup_id=f"d{n}") for n in range(3)]
    # In both orders: whoever sends several waits for others, and never for ever.
    sent = [nodes[n % 2].store.enqueue(queue, batch[:: 1 if n % 4 < 2 else -1]) for n in range(RACERS)]
    before = await _deadlocks(nodes[0])
    outcomes = [accepted for answer in await asyncio.gather(*sent) for accepted in answer]
    assert await _deadlocks(nodes[0]) == before
    kept = [accepted.id for accepted in outcomes if not accepted.duplicate]
    assert len(kept) == 3
    assert {accepted.id for accepted in outcomes} == set(kept)
    assert sorted(await _claimed(nodes[0], queue)) == sorted(kept)


@pytest.mark.parametrize("settings", DISCIPLINES, ids=NAMES)
async def test_what_comes_after_a_purge_stays_and_what_came_before_is_gone(
    nodes: list[PostgresBackend], settings: QueueSettings
):
    """Senders know the queue as it was before; they learn that it was purged, and look it up again."""
    known = await nodes[0].catalog.ensure("orders", settings)
    purged = asyncio.Event()
    before: set[int] = set()
    after: set[int] = set()

    async def send(node: PostgresBackend, sender: int) -> None:
        queue = known
        for n in range(40):
            # Noted before the call: what it began with counts.
            ids = after if purged.is_set() else before
            message = new_message(group_id="g", dedup_id=f"{sender}-{n}" if sender % 2 else None)
            try:
                (accepted,) = await node.store.enqueue(queue, [message])
            except PartitionDropped:
                queue = await node.catalog.find("orders")
                (accepted,) = await node.store.enqueue(queue, [message])
            if ids is after:
                assert queue != known, "kept in the partition that was dropped"
            ids.add(accepted.id)

    async def purge() -> Queue:
        await asyncio.sleep(0.05)
        queue = await nodes[1].catalog.renew("orders")
        purged.set()
        return queue

    queue, *_ = await asyncio.gather(purge(), *[send(nodes[n % 2], n) for n in range(6)])
    assert before
    assert after
    left = set(await _claimed(nodes[0], queue))
    assert after <= left <= after | before
    while await nodes[0].store.tidy(100):
        pass
    rows = await nodes[0]._connections.read(
        b"SELECT count(*) FROM sqslite.messages WHERE partition_id <> $1", [queue.partition_id]
    )
    assert rows == [(0,)]


async def test_purges_at_once_lose_no_totals(nodes: list[PostgresBackend]):
    queue = await nodes[0].catalog.ensure("orders", QueueSettings())
    await nodes[0].stats.add({queue.partition_id: Totals(enqueued=7)})
    await asyncio.gather(*[nodes[n % 2].catalog.renew("orders") for n in range(8)])
    queue = await nodes[0].catalog.find("orders")
    assert await nodes[0].stats.totals([queue.partition_id]) == [Totals(enqueued=7)]


async def test_a_changed_retention_reaches_each_message_though_it_is_locked_and_two_sweep(
    nodes: list[PostgresBackend], postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retaining, "RETENTION_CHANGE_MS", 0)
    queue = await nodes[0].catalog.ensure("orders", QueueSettings(retention_ms=60_000))
    ids = await nodes[0].store.enqueue(queue, [new_message(retention_ms=60_000) for _ in range(50)])
    await nodes[0].catalog.put("orders", QueueSettings(retention_ms=120_000))

    async def kept() -> Counter[float]:
        sql = b"SELECT extract(epoch FROM expires_at - enqueued_at)::float FROM sqslite.messages"
        return Counter(seconds for (seconds,) in await nodes[0]._connections.read(sql, []))

    async def sweep(node: PostgresBackend) -> None:
        for _ in range(20):
            await node.store.retain(10)

    async with await psycopg.AsyncConnection.connect(postgres_store_url) as other:
        await other.execute("SELECT FROM sqslite.messages WHERE id = %s FOR UPDATE", [ids[20].id])
        await asyncio.gather(*map(sweep, nodes))
        assert await kept() == {120.0: 49, 60.0: 1}
    async with asyncio.timeout(10):
        while await nodes[0].store.retain(10):
            pass
    assert await kept() == {120.0: 50}


async def test_of_retentions_changed_at_once_each_that_messages_may_have_is_noted(nodes: list[PostgresBackend]):
    await nodes[0].catalog.ensure("orders", QueueSettings(retention_ms=1_000))
    changes = [nodes[n % 2].catalog.put("orders", QueueSettings(retention_ms=n * 1_000)) for n in range(2, 12)]
    await asyncio.gather(*changes)
    last = (await nodes[0].catalog.find("orders")).settings.retention_ms
    noted = await nodes[0]._connections.read(b"SELECT before_ms FROM sqslite.retention_changes", [])
    assert sorted([*(before_ms for (before_ms,) in noted), last]) == [n * 1_000 for n in range(1, 12)]


async def test_an_attempt_made_by_many_at_once_leases_once(nodes: list[PostgresBackend]):
    queue = await nodes[0].catalog.ensure("orders", QueueSettings())
    ids = [accepted.id for accepted in await nodes[0].store.enqueue(queue, [new_message() for _ in range(5)])]
    claim = [
        Claim(limit=3, visibility_ms=60_000, secrets=SystemEntropy().secrets(3), attempt_id="again") for _ in range(8)
    ]
    answers = await asyncio.gather(*[nodes[n % 2].store.claim(queue, claim[n]) for n in range(8)])
    assert all(answer == answers[0] for answer in answers)
    assert [delivery.message.id for delivery in answers[0]] == ids[:3]


@pytest.mark.parametrize("settings", DISCIPLINES, ids=NAMES)
async def test_a_step_of_a_redrive_made_by_two_moves_each_message_once(
    nodes: list[PostgresBackend], settings: QueueSettings
):
    dead = await nodes[0].catalog.ensure("dead", QueueSettings())
    target = await nodes[0].catalog.ensure("orders", settings)
    ids = [a.id for a in await nodes[0].store.enqueue(dead, [new_message(group_id=f"g{n % 5}") for n in range(50)])]
    await nodes[0].redrives.create(Redrive(queue="dead", partition_id=dead.partition_id, created_at=datetime.now(UTC)))
    task = await nodes[0].redrives.take(60_000)
    candidates = await nodes[0].redrives.candidates(task, 100)
    moves = [Move(message_id=m.id, target=target, dlq=None, retention_ms=0) for m in candidates]
    last = Position(candidates[-1].not_before, candidates[-1].id)
    moved = await asyncio.gather(*[nodes[n % 2].redrives.advance(task, moves, last, 60_000) for n in range(4)])
    assert sum(moved) == 50
    (task,) = await nodes[0].redrives.page(dead.partition_id, 10)
    assert task.moved == 50
    assert sorted(await _claimed(nodes[0], target)) == ids
    assert await _claimed(nodes[0], dead) == []


async def test_tasks_are_taken_by_one_node_each(nodes: list[PostgresBackend]):
    for name in ("one", "two", "three"):
        queue = await nodes[0].catalog.ensure(name, QueueSettings())
        task = Redrive(queue=name, partition_id=queue.partition_id, created_at=datetime.now(UTC))
        await nodes[0].redrives.create(task)
    taken = await asyncio.gather(*[nodes[n % 2].redrives.take(60_000) for n in range(8)])
    # Whoever meets another one at a task may leave without any; nobody takes one that another has.
    queues = [task.queue for task in taken if task is not None]
    assert len(queues) == len(set(queues)) >= 1


async def test_depths_beyond_the_exact_ones_are_near(postgres_on_its_own_time: PostgresBackend):
    node = postgres_on_its_own_time
    queue, other = [await node.catalog.ensure(name, QueueSettings()) for name in ("orders", "other")]
    fill = b"""
        INSERT INTO sqslite.messages (partition_id, enqueued_at, not_before, max_retries, body_kind, body, lease_until)
        SELECT
            CASE WHEN n % 4 = 0 THEN $1 ELSE $2 END, now(),
            now() + CASE WHEN n % 8 = 3 THEN 1 ELSE -1 END * interval '1 h', 5, 'json',
            convert_to(rpad(n::text, 100 + (n % 300)::integer), 'utf8'), CASE WHEN n % 80 = 1 THEN now() END
        FROM generate_series(1, $3::bigint) AS n
        RETURNING 1
    """
    await node._connections.write(fill, [other.partition_id, queue.partition_id, 8 * 12_000])
    depth, beside = await node.stats.depths([queue, other])
    assert (depth.approximate, beside.approximate) == (True, True)
    assert depth.ready == pytest.approx(5 * 12_000 - 1_200, rel=0.15)
    assert depth.delayed == pytest.approx(12_000, rel=0.15)
    assert depth.in_flight == 1_200
    assert beside.ready == pytest.approx(2 * 12_000, rel=0.15)
    assert beside.in_flight == beside.delayed == 0
