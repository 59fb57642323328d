"""The sweeper on a virtual clock: it settles in time, lives through every error, and shares work with others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import cycle, pairwise
from typing import TypeVar

import pytest

from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain import sweep as sweep_module
from sqslite.domain.errors import OutcomeUnknown, StoreUnavailable
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Expired, Store
from sqslite.domain.retry import Backoff, BackoffKind
from sqslite.domain.sweep import PAUSE_MS, RETRY_MS_FIRST
from tests.unit.node import INTERVAL_MS, Node, Plan, message, node

T = TypeVar("T")
CALLS_MAX = 1_000


@contextlib.asynccontextmanager
async def sweeping(*nodes: Node) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.sweep.run()) for each in nodes]
    await nodes[0].advance(0)
    yield
    ended = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not ended, "a sweeper ended before it was told to"


class Probe(InterceptedStore):
    """Lets a test see each call, and do something before it is made."""

    def __init__(self, inner: Store, before: Callable[[str], None] = lambda method: None) -> None:
        super().__init__(inner)
        self.calls: list[str] = []
        self._before = before

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        self.calls.append(method)
        if len(self.calls) > CALLS_MAX:
            # Ends a sweeper that spins: on a virtual clock it would never let the test go on.
            raise asyncio.CancelledError
        self._before(method)
        return await call()


class Unsettling(Probe):
    """Somebody else is always quicker: no settlement of this one is ever applied."""

    async def settle(self, partition_id, settlements):
        self.calls.append("settle")
        return [False] * len(settlements)


# Promise 6


@pytest.mark.parametrize("claimed_after_ms", [0, 1, 100, 249, 250, 17_300, 59_999, 60_000, 150_123])
@pytest.mark.parametrize("visibility_ms", [1, 100, 400, 30_000])
async def test_a_lease_is_settled_within_a_second_though_another_node_gave_it_out_later(
    claimed_after_ms: int, visibility_ms: int
):
    own = node()
    other = own.neighbour()
    async with sweeping(own):
        await own.advance(claimed_after_ms)
        await other.enqueue()
        await other.claim_one(visibility_ms=visibility_ms)
        await own.advance(visibility_ms - 1)
        assert (await own.depth()).in_flight == 1
        await own.advance(SECOND_MS)
        assert (await own.depth()).ready == 1
    assert own.observer.requeued_count == 1
    assert other.observer.requeued_count == 0


async def test_a_sooner_lease_is_not_kept_waiting_by_a_later_one():
    own = node()
    async with sweeping(own):
        await own.enqueue(message(b"1"), message(b"2"))
        await own.claim_one(visibility_ms=50_000)
        await own.advance(10_000)
        await own.claim_one(visibility_ms=500)
        await own.advance(500 + SECOND_MS)
        depth = await own.depth()
        assert (depth.ready, depth.in_flight) == (1, 1)


async def test_the_sweeper_dead_letters_what_is_used_up_though_nobody_polls():
    own = node()
    async with sweeping(own):
        (message_id,) = await own.enqueue(message(max_retries=1, dlq="dead"))
        await own.claim_one(visibility_ms=2_000)
        await own.advance(2_000 + SECOND_MS)
        assert await own.messages() == []
        (dead,) = await own.messages("dead")
        assert (dead.id, dead.origin_queue, dead.origin_delivery_count) == (message_id, "orders", 1)
    assert (own.observer.dead_lettered_count, own.observer.requeued_count) == (1, 0)


async def test_what_is_ready_again_waits_out_the_backoff_of_its_queue():
    own = node()
    await own.create("orders", backoff=Backoff(kind=BackoffKind.FIXED, base_ms=5_000, jitter=0.5))
    await own.enqueue(*[message() for _ in range(20)])
    expired_at = own.clock.now()
    await own.service.claim("orders", 20, 1)
    own.shift(1)
    assert await own.sweep.settle_due() == 20
    pauses_s = [(m.not_before - expired_at).total_seconds() for m in await own.messages()]
    assert all(2.5 <= pause_s <= 5.001 for pause_s in pauses_s)
    assert len(set(pauses_s)) > 1


async def test_a_sweep_is_made_at_least_once_an_interval_though_nothing_is_leased():
    own = node()
    async with sweeping(own):
        assert len(own.observer.sweeps_s) == 1
        await own.advance(INTERVAL_MS - 1)
        assert len(own.observer.sweeps_s) == 1
        await own.advance(1)
        assert len(own.observer.sweeps_s) == 2


async def test_a_sweep_tells_how_long_it_took():
    own = node(lambda store: Probe(store, lambda method: method == "expired" and own.shift(500)))
    async with sweeping(own):
        assert own.observer.sweeps_s == [0.5]


# Errors


async def test_errors_are_told_backed_off_and_outlived():
    plan = Plan(*[Fault.REFUSED] * 3)
    own = node(lambda store: FaultyStore(store, plan))
    other = own.neighbour()
    await other.enqueue()
    await other.claim_one(visibility_ms=100)
    async with sweeping(own):
        await own.advance(249)
        assert own.observer.retries_ms() == [250]
        await own.advance(1)
        assert own.observer.retries_ms() == [250, 500]
        await own.advance(500 + 1_000)
        assert own.observer.retries_ms() == [250, 500, 1_000]
        assert all(isinstance(error, StoreUnavailable) for error, _ in own.observer.failures)
        assert (await own.depth()).ready == 1
        plan.faults.append(Fault.UNKNOWN_UNDONE)
        await own.advance(INTERVAL_MS)
        assert own.observer.retries_ms() == [250, 500, 1_000, RETRY_MS_FIRST]
        assert isinstance(own.observer.failures[-1][0], OutcomeUnknown)


async def test_retries_are_never_more_than_five_seconds_apart():
    own = node(lambda store: FaultyStore(store, cycle([Fault.REFUSED])))
    async with sweeping(own):
        await own.advance(60_000)
        assert own.observer.retries_ms()[:7] == [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]
        assert set(own.observer.retries_ms()[5:]) == {5_000}
        assert own.observer.sweeps_s == []


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNKNOWN_UNDONE, Fault.UNKNOWN_DONE])
async def test_a_settlement_that_failed_is_settled_once_in_the_end(fault: Fault):
    plan = Plan(Fault.NONE, fault)
    own = node(lambda store: FaultyStore(store, plan))
    other = own.neighbour()
    ids = await other.enqueue(message(b"1", max_retries=1, dlq="dead"), message(b"2"))
    await other.service.claim("orders", 2, 100)
    own.shift(100)
    async with sweeping(own):
        await own.advance(SECOND_MS)
        assert len(own.observer.failures) == 1
        assert [m.id for m in await own.messages("dead")] == ids[:1]
        assert [(m.id, m.lease_until, m.delivery_count) for m in await own.messages()] == [(ids[1], None, 1)]


@pytest.mark.parametrize("method", ["expired", "settle", "next_due"])
async def test_a_bug_in_the_store_is_not_fatal_either(method: str):
    bugs = [ZeroDivisionError("a bug")]

    def fail_once(called: str) -> None:
        if called == method and bugs:
            raise bugs.pop()

    own = node(lambda store: Probe(store, fail_once))
    other = own.neighbour()
    await other.enqueue()
    await other.claim_one(visibility_ms=1)
    own.shift(1)
    async with sweeping(own):
        await own.advance(SECOND_MS)
        assert [type(error) for error, _ in own.observer.failures] == [ZeroDivisionError]
        assert (await own.depth()).ready == 1


# Pages and others


async def test_more_than_a_page_is_settled_in_one_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep_module, "PAGE_LEASES_MAX", 3)
    own = node()
    await own.enqueue(*[message() for _ in range(6)])
    await own.enqueue(*[message() for _ in range(2)], queue="other")
    await own.service.claim("orders", 10, 1)
    await own.service.claim("other", 10, 1)
    own.shift(1)
    assert await own.sweep.settle_due() == 8
    assert ((await own.depth()).ready, (await own.depth("other")).ready) == (6, 2)
    assert await own.sweep.settle_due() == 0


async def test_only_the_partition_asked_for_is_settled():
    own = node()
    for queue in ("orders", "other"):
        await own.enqueue(queue=queue)
        await own.service.claim(queue, 10, 1)
    own.shift(1)
    assert await own.sweep.settle_due((await own.backend.catalog.find("other")).partition_id) == 1
    assert ((await own.depth()).in_flight, (await own.depth("other")).ready) == (1, 1)


async def test_a_full_page_that_somebody_else_settles_is_not_read_again_and_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep_module, "PAGE_LEASES_MAX", 3)
    probes: list[Unsettling] = []
    own = node(lambda store: probes.append(Unsettling(store)) or probes[0])
    other = own.neighbour()
    await other.enqueue(*[message() for _ in range(3)])
    await other.service.claim("orders", 3, 1)
    own.shift(1)
    assert await own.sweep.settle_due() == 0
    assert probes[0].calls == ["expired", "settle"]


async def test_a_lease_that_cannot_be_settled_does_not_make_the_sweeper_spin():
    looked_at = []
    own = node(
        lambda store: Unsettling(store, lambda method: method == "expired" and looked_at.append(own.clock.now()))
    )
    other = own.neighbour()
    await other.enqueue()
    await other.claim_one(visibility_ms=1)
    own.shift(1)
    async with sweeping(own):
        await own.advance(SECOND_MS)
    assert len(looked_at) > 1
    assert all(later - sooner >= ms(PAUSE_MS) for sooner, later in pairwise(looked_at))


async def test_sweepers_that_see_the_same_leases_settle_each_once():
    def slow(store: Store) -> Store:
        return FaultyStore(store, cycle([Fault.DELAYED]))

    one = node(slow)
    other = one.neighbour(slow)
    await one.enqueue(*[message(max_retries=1, dlq="dead") for _ in range(5)], *[message() for _ in range(15)])
    await one.service.claim("orders", 20, 1)
    one.shift(1)
    settled = await asyncio.gather(one.sweep.settle_due(), other.sweep.settle_due())
    assert sum(settled) == 20
    assert one.observer.requeued_count + other.observer.requeued_count == 15
    assert one.observer.dead_lettered_count + other.observer.dead_lettered_count == 5
    assert (len(await one.messages()), len(await one.messages("dead"))) == (15, 5)


async def test_two_sweepers_running_for_a_minute_settle_each_lease_once():
    one = node(lambda store: FaultyStore(store, cycle([Fault.DELAYED, Fault.NONE, Fault.NONE])))
    other = one.neighbour(lambda store: FaultyStore(store, cycle([Fault.NONE, Fault.DELAYED])))
    consumer = one.neighbour()
    async with sweeping(one, other):
        await consumer.enqueue(*[message() for _ in range(30)])
        for visibility_ms in range(1_000, 31_000, 1_000):
            await consumer.claim_one(visibility_ms=visibility_ms)
        await one.advance(32_000)
    assert one.observer.requeued_count + other.observer.requeued_count == 30
    assert {m.delivery_count for m in await one.messages()} == {1}
    assert one.observer.failures == other.observer.failures == []


async def test_nothing_expired_is_nothing_settled():
    own = node()
    assert await own.sweep.settle(Expired(own.clock.now(), [])) == set()
    assert (own.observer.requeued_count, own.observer.dead_lettered_count) == (0, 0)
