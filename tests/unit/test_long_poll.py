"""Long polls, from the service over LocalWakeups down to a memory store, on a clock that the test moves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.asker import Asker
from sqslite.domain.errors import InvalidValue, StoreUnavailable
from sqslite.domain.leases import Nack, Wish
from sqslite.domain.limits import WAIT_MS_MAX
from sqslite.domain.ports import Store
from sqslite.domain.sweep import PAUSE_MS
from tests.unit.node import Node, NotedWakeups, Plan, message, node
from tests.unit.polls import Poll, ids, parked, waited
from tests.unit.test_wakeups import settled

T = TypeVar("T")


@pytest.fixture
def own() -> Iterator[Node]:
    made, wakeups = waited()
    yield made
    assert not wakeups._watches
    assert wakeups._looking is None


async def test_an_empty_wait_ends_exactly_at_its_time(own: Node):
    await own.create("orders")
    poll = await parked(own, wait_ms=2_500)
    await own.advance(2_499)
    assert not poll.done()
    await own.advance(1)
    assert poll.result() == []


@pytest.mark.parametrize("known", [True, False])
async def test_an_enqueue_wakes_at_once(own: Node, known: bool):
    if known:
        await own.create("orders")
    poll = await parked(own, limit=10)
    sent = await own.enqueue(message(), message())
    await settled()
    assert ids(poll) == sent


async def test_messages_that_are_there_are_not_waited_for(own: Node):
    sent = await own.enqueue()
    poll = asyncio.ensure_future(own.service.claim("orders", 10, None, 20_000))
    await settled()
    assert ids(poll) == sent


async def test_as_many_messages_wake_as_many_waiters_the_longest_waiting_first(own: Node):
    polls = [await parked(own) for _ in range(5)]
    sent = await own.enqueue(message(), message(), message())
    await settled()
    assert [ids(poll) for poll in polls[:3]] == [[one] for one in sent]
    assert not any(poll.done() for poll in polls[3:])
    last = await own.enqueue()
    await settled()
    assert ids(polls[3]) == last
    await own.advance(20_000)
    assert polls[4].result() == []


async def test_a_waiter_that_takes_all_it_may_wakes_the_next():
    own, wakeups = waited()
    polls = [await parked(own, limit=2) for _ in range(3)]
    sent = await own.neighbour().enqueue(*[message() for _ in range(5)])
    # One wake-up, for all five.
    wakeups.notify("orders", 1)
    await settled()
    assert [ids(poll) for poll in polls] == [sent[:2], sent[2:4], sent[4:]]


@pytest.mark.parametrize("stays", [True, False])
async def test_a_wake_up_that_is_passed_on_is_no_news_for_other_nodes(stays: bool):
    clock = VirtualClock()
    wakeups = NotedWakeups(clock)
    own = node(clock=clock, wakeups=wakeups)
    client = Asker()
    first, second = await parked(own, asker=client), await parked(own)
    sent = await own.neighbour().enqueue(message(), message())
    wakeups.notify("orders", 1)
    if not stays:
        client.leave()
    await settled()
    assert [one for poll in (first, second) for one in ids(poll)] == (sent if stays else sent[:1])
    assert wakeups.told == [("orders", 1)]


async def test_delayed_messages_are_found_by_the_look_each_second(own: Node):
    polls = [await parked(own) for _ in range(3)]
    sent = await own.enqueue(message(delay_ms=1_500), message(delay_ms=1_500))
    await own.advance(1_499)
    assert not any(poll.done() for poll in polls)
    await own.advance(1_000)
    assert [ids(poll) for poll in polls[:2]] == [[one] for one in sent]
    await own.advance(20_000)
    assert polls[2].result() == []


async def test_another_nodes_messages_and_queues_are_found_by_the_look_each_second(own: Node):
    poll = await parked(own)
    sent = await own.neighbour().enqueue()
    await own.advance(999)
    assert not poll.done()
    await own.advance(1)
    assert ids(poll) == sent


async def test_a_message_given_up_wakes_a_waiter_at_once(own: Node):
    sent = await own.enqueue()
    delivery = await own.claim_one()
    poll = await parked(own)
    await own.service.nack([Nack(delivery.receipt)])
    await settled()
    assert ids(poll) == sent
    assert poll.result()[0].message.delivery_count == 2


async def test_a_message_given_up_for_later_is_found_by_the_look_each_second(own: Node):
    sent = await own.enqueue()
    delivery = await own.claim_one()
    poll = await parked(own)
    await own.service.nack([Nack(delivery.receipt, Wish(delay_ms=1_500))])
    await own.advance(1_499)
    assert not poll.done()
    await own.advance(1_000)
    assert ids(poll) == sent


async def test_the_end_of_a_lease_wakes_a_waiter_as_soon_as_it_is_swept(own: Node):
    sent = await own.enqueue()
    await own.claim_one(visibility_ms=1_300)
    sweeping = asyncio.ensure_future(own.sweep.run())
    poll = await parked(own)
    await own.advance(1_299)
    assert not poll.done()
    await own.advance(1 + PAUSE_MS)
    assert ids(poll) == sent
    sweeping.cancel()


async def test_the_end_of_a_lease_is_found_within_a_second_without_a_sweeper(own: Node):
    sent = await own.enqueue()
    await own.claim_one(visibility_ms=1_300)
    poll = await parked(own)
    await own.advance(1_299)
    assert not poll.done()
    await own.advance(1_000)
    assert ids(poll) == sent


async def test_a_dead_letter_wakes_who_waits_for_dead_letters(own: Node):
    sent = await own.enqueue(message(max_retries=1, dlq="dead"))
    delivery = await own.claim_one()
    poll = await parked(own, queue="dead")
    await own.service.nack([Nack(delivery.receipt)])
    await settled()
    assert ids(poll) == sent


async def test_a_queues_own_wait_holds_where_the_receive_says_none(own: Node):
    await own.create("orders", receive_wait_ms=3_000)
    assert await own.service.claim("orders", wait_ms=0) == []
    poll = await parked(own, wait_ms=None)
    await own.advance(2_999)
    assert not poll.done()
    await own.advance(1)
    assert poll.result() == []
    shorter = await parked(own, wait_ms=1_000)
    await own.advance(1_000)
    assert shorter.result() == []


async def test_without_a_wait_the_answer_comes_at_once(own: Node):
    await own.create("orders")
    for wait_ms in (None, 0):
        assert await own.service.claim("orders", wait_ms=wait_ms) == []
        assert await own.service.claim("unknown", wait_ms=wait_ms) == []


@pytest.mark.parametrize("wait_ms", [-1, WAIT_MS_MAX + 1])
async def test_a_wait_out_of_range_is_refused(own: Node, wait_ms: int):
    await own.enqueue()
    with pytest.raises(InvalidValue, match=rf"^wait_ms must be 0 to 60000; got {wait_ms}$"):
        await own.service.claim("orders", wait_ms=wait_ms)
    assert (await own.depth()).ready == 1
    longest = await parked(own, queue="empty", wait_ms=WAIT_MS_MAX)
    await own.advance(WAIT_MS_MAX)
    assert longest.result() == []


# Races


class Interleaved(InterceptedStore):
    """Lets others act at a chosen moment of the next claim: `before` it reads, or `after` it has read."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.before: list[Callable[[], Awaitable[object]]] = []
        self.after: list[Callable[[], Awaitable[object]]] = []

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        acts = (self.before, self.after) if method == "claim" else ([], [])
        for act in [acts[0].pop() for _ in acts[0]]:
            await act()
        result = await call()
        for act in [acts[1].pop() for _ in acts[1]]:
            await act()
        return result


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("waiters", [0, 1, 3])
async def test_no_enqueue_falls_between_a_look_and_the_wait(moment: str, known: bool, waiters: int):
    stores: list[Interleaved] = []

    def decorate(store: Store) -> Store:
        stores.append(Interleaved(store))
        return stores[0]

    own, _ = waited(decorate)
    if known:
        await own.create("orders")
    others = [await parked(own) for _ in range(waiters)]
    if not known:
        # An unknown queue is not claimed from: it comes into being behind the first look.
        await own.create("orders")
    getattr(stores[0], moment).append(own.enqueue)
    poll = asyncio.ensure_future(own.service.claim("orders", 1, None, 20_000))
    await settled()
    polls = [*others, poll]
    assert [poll.done() for poll in polls].count(True) == 1
    assert len(await own.messages()) == 1
    assert (await own.depth()).in_flight == 1
    await own.advance(20_000)
    assert all(poll.done() for poll in polls)


@pytest.mark.parametrize("turns", range(12))
async def test_however_enqueues_and_polls_interleave_nobody_waits_beside_a_message(own: Node, turns: int):
    await own.create("orders")
    polls: list[Poll] = []
    for _ in range(6):
        polls.append(asyncio.ensure_future(own.service.claim("orders", 1, None, 20_000)))
        for _ in range(turns):
            await asyncio.sleep(0)
        await own.enqueue()
    await settled()
    assert all(poll.done() for poll in polls)
    assert sorted(one for poll in polls for one in ids(poll)) == sorted(m.id for m in await own.messages())


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_poll_costs_no_other_its_wake_up(own: Node, turns: int):
    first, second = await parked(own), await parked(own)
    await own.enqueue()
    for _ in range(turns):
        await asyncio.sleep(0)
    first.cancel()
    await settled()
    # Either the first had leased it, or the second was woken.
    assert (await own.depth()).in_flight == 1
    await own.advance(20_000)
    assert second.done()


async def test_a_store_that_refuses_tells_its_own_caller_and_others_still_get_the_message():
    plan = Plan()
    own, _ = waited(lambda store: FaultyStore(store, plan))
    first, second = await parked(own), await parked(own)
    sent = await own.neighbour().enqueue()
    plan.faults.append(Fault.REFUSED)
    await own.advance(1_000)
    with pytest.raises(StoreUnavailable):
        first.result()
    await own.advance(1_000)
    assert ids(second) == sent


# The end


async def test_close_answers_everybody_and_later_polls_at_once():
    own, wakeups = waited()
    await own.create("orders")
    polls = [await parked(own, queue=queue) for queue in ("orders", "orders", "unknown") for _ in range(50)]
    wakeups.release_waiters()
    await settled()
    assert [poll.result() for poll in polls] == [[]] * 150
    assert await asyncio.wait_for(own.service.claim("orders", wait_ms=20_000), 1) == []
    sent = await own.enqueue()
    assert [d.message.id for d in await own.service.claim("orders", wait_ms=20_000)] == sent


async def test_after_hundreds_of_polls_no_task_and_no_queue_is_kept(own: Node):
    before = asyncio.all_tasks()
    for n in range(300):
        poll = await parked(own, queue=f"q{n % 7}", wait_ms=10)
        if n % 3:
            await own.advance(10)
        else:
            poll.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await poll
    await settled()
    assert asyncio.all_tasks() == before
