"""Concurrent calls share a commit: what is merged, what is not, and who is told what."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.gathering import WEIGHT_PER_BATCH_MAX
from sqslite.adapters.stores.coalescing import CoalescingStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.domain.errors import OutcomeUnknown, Overloaded, StoreUnavailable
from sqslite.domain.leases import Acked
from sqslite.domain.limits import CLAIM_MAX, ms
from sqslite.domain.messages import NewMessage
from sqslite.domain.ports import Claim, Extension, PartitionDropped, RequeueAt, Store
from sqslite.domain.queues import QueueSettings
from tests.conformance.world import World, message
from tests.unit.at_once import begun, turns

T = TypeVar("T")


class GatedStore(InterceptedStore):
    """Lets no call begin its work while the gate is closed, and remembers which came to it.

    An enqueue for whose messages `fault` has an error fails with that.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.claims: list[Claim] = []
        self.enqueued: list[int] = []
        self.fault: Callable[[Sequence[NewMessage]], Exception | None] = lambda _: None

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        self.calls.append(method)
        await self.gate.wait()
        return await call()

    async def claim(self, queue, claim):
        self.claims.append(claim)
        return await super().claim(queue, claim)

    async def enqueue(self, queue, messages):
        self.enqueued.append(len(messages))
        error = self.fault(messages)
        if error is not None:
            raise error
        return await super().enqueue(queue, messages)


@pytest.fixture
def world() -> World:
    clock = VirtualClock()
    backend = MemoryBackend(clock)
    return World(backend, clock, CoalescingStore(GatedStore(backend.store), lanes=1))


@pytest.fixture
def inner(world: World) -> GatedStore:
    assert isinstance(world.store, CoalescingStore)
    gated = world.store._inner
    assert isinstance(gated, GatedStore)
    return gated


async def _behind(inner: GatedStore, first: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, T]):
    """The first call is under way, the others gather behind it; then the gate opens."""
    inner.gate.clear()
    tasks = await begun(first) + await begun(*others)
    inner.gate.set()
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)


# What is merged


async def test_a_call_goes_at_once_where_none_is_under_way(world: World, inner: GatedStore):
    queue = await world.queue()
    for _ in range(3):
        await world.enqueue(queue)
    assert inner.enqueued == [1, 1, 1]


async def test_enqueues_that_come_while_one_is_under_way_go_together(world: World, inner: GatedStore):
    queue = await world.queue()
    sizes = [1, 2, 3, 1]
    answers = await _behind(inner, *[world.enqueue(queue, *[message(b"%d" % n)] * n) for n in sizes])
    assert inner.enqueued == [1, 6]
    assert [len(ids) for ids in answers] == sizes
    bodies = {one.id: one.body for one in await world.messages(queue)}
    assert [[bodies[message_id] for message_id in ids] for ids in answers] == [[b"%d" % n] * n for n in sizes]


async def test_duplicates_among_merged_enqueues_are_told_apart(world: World, inner: GatedStore):
    queue = await world.queue()
    first, second, third = await _behind(
        inner, world.accept(queue), *[world.accept(queue, message(dedup_id="d")) for _ in range(2)]
    )
    assert [one.duplicate for (one,) in (first, second, third)] == [False, False, True]
    assert second[0].id == third[0].id


async def test_acks_extensions_settlements_and_looks_go_together(world: World, inner: GatedStore):
    queue = await world.queue()
    await world.enqueue(queue, *[message() for _ in range(9)])
    deliveries = await world.claim(queue, 9, 60_000)
    receipts = [delivery.receipt for delivery in deliveries]
    leases = (await world.backend.store.held(queue.partition_id, receipts)).leases
    inner.calls.clear()
    extensions = [Extension(receipt, 70_000 + n) for n, receipt in enumerate(receipts[:3])]
    assert await _behind(inner, *[world.store.extend(queue.partition_id, [one]) for one in extensions]) == [
        [world.now + ms(70_000 + n)] for n in range(3)
    ]
    requeues = [RequeueAt(lease, world.now) for lease in leases[1:5]]
    settled = await _behind(inner, *[world.store.settle(queue.partition_id, [one]) for one in requeues])
    # The first two were extended meanwhile.
    assert settled == [[False], [False], [True], [True]]
    acked = await _behind(inner, *[world.ack(*receipts[n : n + 3]) for n in (0, 3, 6)])
    assert acked == [[Acked(world.now, queue.partition_id)] * 3] * 3
    looks = await _behind(inner, *[world.store.expired(10) for _ in range(5)])
    assert [look.leases for look in looks] == [[]] * 5
    assert inner.calls == [kind for kind in ("extend", "settle", "ack", "expired") for _ in range(2)]


async def test_looks_at_different_leases_are_not_shared(world: World, inner: GatedStore):
    one, other = await world.queue("one"), await world.queue("other")
    for queue in (one, other):
        await world.enqueue(queue, message(), message())
        await world.claim(queue, 2, 1_000)
    world.advance(1_000)
    looks = await _behind(
        inner, *[world.store.expired(*look) for look in ((10, None), (10, one.partition_id), (3, None))]
    )
    assert [len(look.leases) for look in looks] == [4, 2, 3]


async def test_a_look_shows_what_ended_before_it_was_asked_for(world: World, inner: GatedStore):
    queue = await world.queue()
    await world.enqueue(queue)
    await world.claim(queue, 1, 1_000)
    seen = await world.store.expired(10)
    inner.gate.clear()
    (early,) = await begun(world.store.expired(10))
    world.clock.shift(timedelta(seconds=1))
    late = await begun(world.store.expired(10))
    inner.gate.set()
    await asyncio.gather(early, *late)
    assert (seen.leases, len(late[0].result().leases)) == ([], 1)
    assert inner.calls.count("expired") == 3


# Claims


async def test_merged_claims_are_dealt_one_message_each_in_turn(world: World, inner: GatedStore):
    queue = await world.queue()
    ids = await world.enqueue(queue, *[message() for _ in range(8)])
    hands = await _behind(inner, *[world.claim(queue, limit) for limit in (1, 1, 5, 2, 10)])
    assert [claim.limit for claim in inner.claims] == [1, 18]
    dealt = [[delivery.message.id for delivery in hand] for hand in hands]
    assert dealt == [[ids[0]], [ids[1]], [ids[2], ids[5]], [ids[3], ids[6]], [ids[4], ids[7]]]


async def test_a_merged_claim_gives_nobody_more_than_was_asked_for(world: World, inner: GatedStore):
    queue = await world.queue()
    ids = await world.enqueue(queue, *[message() for _ in range(20)])
    hands = await _behind(inner, *[world.claim(queue, limit) for limit in (1, 2, 3, 4)])
    assert [len(hand) for hand in hands] == [1, 2, 3, 4]
    assert sorted(delivery.message.id for hand in hands for delivery in hand) == ids[:10]
    assert len({delivery.receipt.secret for hand in hands for delivery in hand}) == 10


async def test_a_merged_claim_stays_within_the_limit_of_a_claim(world: World, inner: GatedStore):
    queue = await world.queue()
    await world.enqueue(queue, *[message() for _ in range(CLAIM_MAX + 10)])
    hands = await _behind(inner, world.claim(queue, 1), *[world.claim(queue, 600) for _ in range(2)])
    assert [claim.limit for claim in inner.claims] == [1, CLAIM_MAX]
    assert [len(hand) for hand in hands] == [1, CLAIM_MAX // 2, CLAIM_MAX // 2]


async def test_claims_for_different_times_are_not_merged(world: World, inner: GatedStore):
    queue = await world.queue()
    await world.enqueue(queue, *[message() for _ in range(3)])
    hands = await _behind(inner, *[world.claim(queue, 1, visibility_ms) for visibility_ms in (1_000, 2_000, 3_000)])
    assert len(inner.claims) == 3
    assert [hand[0].message.lease_until - world.now for hand in hands] == [ms(n) for n in (1_000, 2_000, 3_000)]


@pytest.mark.parametrize(("settings", "attempt_id"), [(QueueSettings(fifo=True), None), (QueueSettings(), "again")])
async def test_claims_of_fifo_queues_and_of_attempts_go_alone(
    world: World, inner: GatedStore, settings: QueueSettings, attempt_id: str | None
):
    queue = await world.queue(settings=settings)
    await world.enqueue(queue, *[message(group_id="a") for _ in range(6)])
    hands = await _behind(inner, *[world.claim(queue, 2, attempt_id=attempt_id) for _ in range(3)])
    assert [claim.limit for claim in inner.claims] == [2, 2, 2]
    given = [[delivery.message.id for delivery in hand] for hand in hands]
    assert given == ([[1, 2], [], []] if settings.fifo else [[1, 2]] * 3)


# Limits


async def test_the_bodies_of_messages_are_what_an_enqueue_weighs(world: World, inner: GatedStore):
    queue = await world.queue()
    large = message(b"x" * (WEIGHT_PER_BATCH_MAX // 2))
    await _behind(inner, *[world.enqueue(queue, large) for _ in range(4)])
    assert inner.enqueued == [1, 1, 1, 1]


async def test_queues_do_not_wait_for_each_other(world: World, inner: GatedStore):
    one, other = await world.queue("one"), await world.queue("other")
    inner.gate.clear()
    stuck = await begun(world.enqueue(one))
    inner.gate = asyncio.Event()
    inner.gate.set()
    assert len(await asyncio.wait_for(world.enqueue(other), 5)) == 1
    assert not stuck[0].done()
    stuck[0].cancel()


# Errors


async def test_a_call_that_is_at_fault_fails_alone(world: World, inner: GatedStore):
    queue = await world.queue()
    inner.fault = lambda messages: ValueError("poison") if any(one.body == b"bad" for one in messages) else None
    bodies = [b"0", b"1", b"bad", b"3"]
    answers = await _behind(inner, *[world.enqueue(queue, message(body)) for body in bodies])
    assert [isinstance(answer, ValueError) for answer in answers] == [False, False, True, False]
    assert [one.body for one in await world.messages(queue)] == [b"0", b"1", b"3"]
    assert inner.enqueued == [1, 3, 1, 1, 1]
    assert len(await world.enqueue(queue)) == 1


@pytest.mark.parametrize("error", [OutcomeUnknown, StoreUnavailable, Overloaded, PartitionDropped])
async def test_an_error_of_the_store_is_told_to_every_caller_of_its_batch_and_to_no_other(
    world: World, inner: GatedStore, error: type[Exception]
):
    queue = await world.queue()
    inner.fault = lambda messages: error("no") if len(messages) == 3 else None
    answers = await _behind(inner, *[world.enqueue(queue) for _ in range(4)])
    assert [type(answer) for answer in answers] == [list, error, error, error]
    assert inner.enqueued == [1, 3]
    assert len(await world.enqueue(queue)) == 1


# Callers that are cancelled


async def test_a_caller_that_is_cancelled_while_it_waits_is_forgotten(world: World, inner: GatedStore):
    queue = await world.queue()
    inner.gate.clear()
    first, gone, last = [(await begun(world.enqueue(queue, message(b"%d" % n))))[0] for n in range(3)]
    gone.cancel()
    await turns()
    inner.gate.set()
    await asyncio.gather(first, last)
    assert gone.cancelled()
    assert inner.enqueued == [1, 1]
    assert [one.body for one in await world.messages(queue)] == [b"0", b"2"]


async def test_a_caller_that_is_cancelled_under_way_disturbs_nobody(world: World, inner: GatedStore):
    queue = await world.queue()
    inner.gate.clear()
    (first,) = await begun(world.enqueue(queue))
    gone, stays = await begun(*[world.enqueue(queue, message(body)) for body in (b"gone", b"stays")])
    gate, inner.gate = inner.gate, asyncio.Event()
    gate.set()
    await turns()
    assert inner.enqueued == [1, 2]
    gone.cancel()
    await turns()
    inner.gate.set()
    (_, (stayed,)) = await asyncio.gather(first, stays)
    assert [one.body for one in await world.messages(queue)][1:] == [b"gone", b"stays"]
    assert stayed == (await world.messages(queue))[2].id


async def test_what_a_cancelled_claim_leased_is_given_back_at_once(world: World, inner: GatedStore):
    queue = await world.queue()
    ids = await world.enqueue(queue, *[message() for _ in range(3)])
    inner.gate.clear()
    (gone,) = await begun(world.claim(queue, 3))
    gone.cancel()
    await turns()
    inner.gate.set()
    await turns()
    assert inner.calls[-1] == "settle"
    again = await world.claim(queue)
    assert [(delivery.message.id, delivery.message.delivery_count) for delivery in again] == [(one, 2) for one in ids]


async def test_nobody_waits_until_the_leases_of_another_caller_are_given_back(world: World, inner: GatedStore):
    queue = await world.queue()
    ids = await world.enqueue(queue, *[message() for _ in range(5)])
    inner.gate.clear()
    first, *_ = await begun(world.claim(queue, 1))
    gone, stays = await begun(world.claim(queue, 2), world.claim(queue, 2))
    gate, inner.gate = inner.gate, asyncio.Event()
    gate.set()
    await turns()
    gone.cancel()
    await turns()
    gate, inner.gate = inner.gate, asyncio.Event()
    gate.set()
    # The gate is closed for the giving back.
    await asyncio.wait_for(asyncio.gather(first, stays), 5)
    assert [delivery.message.id for delivery in stays.result()] == [ids[2], ids[4]]
    await turns()
    assert inner.calls[-1] == "settle"
    # A claim does not wait for it either.
    inner.gate.set()
    await turns()
    assert [delivery.message.id for delivery in await world.claim(queue)] == [ids[1], ids[3]]


async def test_giving_back_that_fails_is_left_to_the_end_of_the_lease(world: World, inner: GatedStore):
    queue = await world.queue()
    await world.enqueue(queue)

    async def settle(partition_id, settlements):
        raise StoreUnavailable("no")

    inner.settle = settle  # type: ignore[method-assign]
    inner.gate.clear()
    (gone,) = await begun(world.claim(queue, 1, 1_000))
    gone.cancel()
    await turns()
    inner.gate.set()
    await turns()
    assert await world.claim(queue) == []
    world.advance(1_000)
    assert len((await world.store.expired(10)).leases) == 1
