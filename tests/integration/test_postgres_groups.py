"""Groups on PostgreSQL where clients really run at once: order, exclusivity, and nobody forgotten."""

import asyncio
import contextlib
import itertools
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import psycopg
import pytest

from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claiming import WAIT_MS_MAX
from sqslite.domain.leases import Acked, Refusal
from sqslite.domain.limits import ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Claim, Extension, RequeueAt
from sqslite.domain.queues import Queue, QueueSettings
from tests.integration.messages import new_message

GROUPS = 12
SENDERS = 6
CONSUMERS = 6
MESSAGES_PER_SENDER = 120
END_S_MAX = 60.0


@pytest.fixture
async def nodes(
    postgres_on_its_own_time: PostgresBackend, postgres_store_url: str
) -> AsyncIterator[list[PostgresBackend]]:
    """Two nodes with connections of their own."""
    other = PostgresBackend(postgres_store_url, pool_size=8)
    await other.open()
    yield [postgres_on_its_own_time, other]
    await other.close()


def claim_of(limit: int, visibility_ms: int = 60_000) -> Claim:
    return Claim(limit=limit, visibility_ms=visibility_ms, secrets=SystemEntropy().secrets(limit))


class Consumed:
    """What consumers saw: the deliveries of each group in the order in which their claims ended."""

    def __init__(self) -> None:
        self.acked: defaultdict[str, list[int]] = defaultdict(list)
        self.held: dict[str, int] = {}
        self.count = 0


async def _send(node: PostgresBackend, queue: Queue, sender: int) -> None:
    """Batches of one to four messages for random groups; each group's are numbered by the ids that they get."""
    sent = 0
    while sent < MESSAGES_PER_SENDER:
        size = min(random.randint(1, 4), MESSAGES_PER_SENDER - sent)
        batch = [
            new_message(
                group_id=f"g{random.randrange(GROUPS)}", dedup_id=f"{sender}-{sent + n}" if sender % 2 else None
            )
            for n in range(size)
        ]
        await node.store.enqueue(queue, batch)
        sent += size


async def _consume(node: PostgresBackend, queue: Queue, consumed: Consumed, total: int) -> None:
    """Claims and then acks one by one, nacks the rest of a group, or lets a lease be settled and takes it up again."""
    while consumed.count < total:
        deliveries = await node.store.claim(queue, claim_of(random.randint(1, 10)))
        by_group: defaultdict[str, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            by_group[delivery.message.group_id or ""].append(delivery)
        assert not by_group.keys() & consumed.held.keys(), "two deliveries of a group at once"
        consumed.held |= dict.fromkeys(by_group, id(deliveries))
        if not deliveries:
            await asyncio.sleep(0.005)
        await asyncio.gather(*[_work_off(node, queue, consumed, group, held) for group, held in by_group.items()])


async def _work_off(
    node: PostgresBackend, queue: Queue, consumed: Consumed, group: str, deliveries: list[Delivery]
) -> None:
    ids = [delivery.message.id for delivery in deliveries]
    assert ids == sorted(ids)
    done = random.randint(0, len(deliveries))
    for delivery in deliveries[:done]:
        consumed.acked[group].append(delivery.message.id)
        consumed.count += 1
        if delivery is deliveries[-1]:
            del consumed.held[group]
        (outcome,) = await node.store.ack(queue.partition_id, [delivery.receipt])
        assert isinstance(outcome, Acked)
    if rest := deliveries[done:]:
        held = await node.store.held(queue.partition_id, [delivery.receipt for delivery in rest])
        del consumed.held[group]
        requeues = [RequeueAt(lease, held.now + ms(random.choice([0, 10]))) for lease in held.leases]
        assert await node.store.settle(queue.partition_id, requeues) == [True] * len(rest)


async def test_senders_and_consumers_at_once_keep_the_order_of_every_group(nodes: list[PostgresBackend]):
    queue = await nodes[0].catalog.ensure("line", QueueSettings(fifo=True))
    consumed = Consumed()
    work = [_send(nodes[n % 2], queue, n) for n in range(SENDERS)]
    total = SENDERS * MESSAGES_PER_SENDER
    work += [_consume(nodes[n % 2], queue, consumed, total) for n in range(CONSUMERS)]
    await asyncio.wait_for(asyncio.gather(*work), END_S_MAX)
    for ids in consumed.acked.values():
        assert ids == sorted(ids)
    everything = list(itertools.chain(*consumed.acked.values()))
    assert len(everything) == len(set(everything)) == total
    # Nothing is left, not even the rows of the groups, once a claim has looked at them.
    assert await nodes[0].store.claim(queue, claim_of(1_000)) == []
    assert await _groups(nodes[0]) == []


async def _groups(node: PostgresBackend) -> list[tuple]:
    return await node._connections.read(b"SELECT group_id, look_at FROM sqslite.message_groups ORDER BY turn", [])


@contextlib.asynccontextmanager
async def _locked(node: PostgresBackend, url: str, group: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Hold the group as a sender does that is about to commit; gives what waits until somebody waits for it."""

    async def somebody_waits() -> None:
        sql = b"SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
        while not (await node._connections.read(sql, []))[0][0]:  # noqa: ASYNC110  # it is the server that must come to it
            await asyncio.sleep(0.01)

    async with await psycopg.AsyncConnection.connect(url) as sender:
        await sender.execute("SELECT FROM sqslite.message_groups WHERE group_id = %s FOR UPDATE", [group])
        yield somebody_waits


@pytest.mark.parametrize("settings", [QueueSettings(fifo=True), QueueSettings(fair=True)], ids=["fifo", "fair"])
async def test_a_group_held_by_a_sender_is_passed_over_once_and_then_waited_for(
    postgres_on_its_own_time: PostgresBackend, postgres_store_url: str, settings: QueueSettings
):
    """Otherwise one whose senders never rest would never be served."""
    node = postgres_on_its_own_time
    queue = await node.catalog.ensure("line", settings)
    for group in ("busy", "quiet", "quiet"):
        await node.store.enqueue(queue, [new_message(group_id=group)])
    async with _locked(node, postgres_store_url, "busy") as somebody_waits:
        assert [d.message.group_id for d in await node.store.claim(queue, claim_of(1))] == ["quiet"]
        claim = asyncio.ensure_future(node.store.claim(queue, claim_of(1)))
        await asyncio.wait_for(somebody_waits(), END_S_MAX)
    assert [d.message.group_id for d in await asyncio.wait_for(claim, END_S_MAX)] == ["busy"]


@pytest.mark.parametrize("settings", [QueueSettings(fifo=True), QueueSettings(fair=True)], ids=["fifo", "fair"])
async def test_where_there_is_no_other_a_claim_waits_for_the_group_at_once(
    postgres_on_its_own_time: PostgresBackend, postgres_store_url: str, settings: QueueSettings
):
    node = postgres_on_its_own_time
    queue = await node.catalog.ensure("line", settings)
    await node.store.enqueue(queue, [new_message(group_id="busy")])
    async with _locked(node, postgres_store_url, "busy") as somebody_waits:
        claim = asyncio.ensure_future(node.store.claim(queue, claim_of(1)))
        await asyncio.wait_for(somebody_waits(), END_S_MAX)
    assert [d.message.group_id for d in await asyncio.wait_for(claim, END_S_MAX)] == ["busy"]


async def test_a_late_extension_waits_for_a_claim_that_looks_at_the_group(
    postgres_on_its_own_time: PostgresBackend, postgres_store_url: str
):
    node = postgres_on_its_own_time
    queue = await node.catalog.ensure("line", QueueSettings(fifo=True))
    await node.store.enqueue(queue, [new_message(group_id="a")])
    (delivery,) = await node.store.claim(queue, claim_of(1))
    held = await node.store.held(queue.partition_id, [delivery.receipt])
    await node.store.settle(queue.partition_id, [RequeueAt(held.leases[0], held.now)])
    async with _locked(node, postgres_store_url, "a"):
        extend = asyncio.ensure_future(
            node.store.extend(queue.partition_id, [Extension(delivery.receipt, 60_000)]),
        )
        assert not (await asyncio.wait([extend], timeout=0.3))[0]
    assert isinstance((await extend)[0], datetime)
    assert await node.store.claim(queue, claim_of(1)) == []


async def test_a_receipt_that_leases_again_and_a_claim_never_both_have_the_group(nodes: list[PostgresBackend]):
    queue = await nodes[0].catalog.ensure("line", QueueSettings(fifo=True))
    for _ in range(40):
        await nodes[0].store.enqueue(queue, [new_message(group_id="a"), new_message(group_id="a")])
        first, second = await nodes[0].store.claim(queue, claim_of(2))
        held = await nodes[0].store.held(queue.partition_id, [first.receipt, second.receipt])
        await nodes[0].store.settle(queue.partition_id, [RequeueAt(lease, held.now) for lease in held.leases])
        (extended,), claimed = await asyncio.gather(
            nodes[0].store.extend(queue.partition_id, [Extension(first.receipt, 60_000)]),
            nodes[1].store.claim(queue, claim_of(2)),
        )
        # Either the old holder has one and the claim nothing, or the claim has both and the old receipt is superseded.
        if isinstance(extended, datetime):
            assert claimed == []
            claimed = [first, second]
        else:
            assert extended is Refusal.STALE
            assert [delivery.message.id for delivery in claimed] == [first.message.id, second.message.id]
        await nodes[0].store.ack(queue.partition_id, [delivery.receipt for delivery in claimed])


async def test_a_group_held_for_long_delays_one_claim_and_no_more(
    postgres_on_its_own_time: PostgresBackend, postgres_store_url: str
):
    """A sender may hold it for as long as a transaction of its own takes."""
    node = postgres_on_its_own_time
    queue = await node.catalog.ensure("line", QueueSettings(fifo=True))
    for group in ("busy", *[f"quiet-{n}" for n in range(20)]):
        await node.store.enqueue(queue, [new_message(group_id=group)])
    async with _locked(node, postgres_store_url, "busy"):
        waited_s = []
        for _ in range(20):
            started_s = time.monotonic()
            assert len(await node.store.claim(queue, claim_of(1))) == 1
            waited_s.append(time.monotonic() - started_s)
        assert sum(one > WAIT_MS_MAX / 1_000 for one in waited_s) <= 1
        assert await node.store.claim(queue, claim_of(1)) == []


async def test_none_goes_before_one_that_is_being_acked_for_the_ack_may_fail(
    postgres_on_its_own_time: PostgresBackend, postgres_store_url: str
):
    node = postgres_on_its_own_time
    queue = await node.catalog.ensure("line", QueueSettings(fifo=True))
    first, second, other = await node.store.enqueue(
        queue, [new_message(group_id="a"), new_message(group_id="a"), new_message(group_id="b")]
    )
    async with await psycopg.AsyncConnection.connect(postgres_store_url) as acking:
        await acking.execute("SELECT FROM sqslite.messages WHERE id = %s FOR UPDATE", [first.id])
        assert [delivery.message.id for delivery in await node.store.claim(queue, claim_of(10))] == [other.id]
        await acking.rollback()
    assert [delivery.message.id for delivery in await node.store.claim(queue, claim_of(10))] == [first.id, second.id]
