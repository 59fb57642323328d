"""Long polls, from the service over LocalWakeups down to a memory store, on a clock that the test moves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.domain.errors import InvalidValue, StoreUnavailable
from sqslite.domain.limits import WAIT_MS_MAX, ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Store
from sqslite.domain.service import Nack
from sqslite.domain.sweep import PAUSE_MS, Wish
from sqslite.entrypoints.http.parking import unless_gone
from tests.unit.node import Node, Plan, message, node
from tests.unit.rest import rest
from tests.unit.test_wakeups import settled

T = TypeVar("T")
Poll = asyncio.Task[list[Delivery]]


def waited(decorate: Callable[[Store], Store] = lambda store: store) -> tuple[Node, LocalWakeups]:
    clock = VirtualClock()
    wakeups = LocalWakeups(clock)
    return node(decorate, clock=clock, wakeups=wakeups), wakeups


@pytest.fixture
def own() -> Iterator[Node]:
    made, wakeups = waited()
    yield made
    assert not wakeups._watches
    assert not wakeups._lookers


async def parked(
    on: Node,
    limit: int = 1,
    wait_ms: int | None = 20_000,
    queue: str = "orders",
    wanted: Callable[[], bool] = lambda: True,
) -> Poll:
    """A poll that has found nothing and waits."""
    poll = asyncio.ensure_future(on.service.claim(queue, limit, None, wait_ms, wanted))
    await settled()
    assert not poll.done()
    return poll


def ids(poll: Poll) -> list[int]:
    return [delivery.message.id for delivery in poll.result()]


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


# Clients that hang up


async def test_a_waiter_that_nobody_wants_leases_nothing_and_hands_its_wake_up_on(own: Node):
    gone = await parked(own, wanted=lambda: False)
    also_gone = await parked(own, wanted=lambda: False)
    there = await parked(own)
    sent = await own.enqueue()
    await settled()
    assert (gone.result(), also_gone.result(), ids(there)) == ([], [], sent)
    assert there.result()[0].message.delivery_count == 1


async def test_where_all_have_hung_up_the_message_stays(own: Node):
    gone = await parked(own, wanted=lambda: False)
    await own.enqueue()
    await settled()
    assert gone.result() == []
    assert (await own.claim_one()).message.delivery_count == 1


class Client:
    """A request whose client may hang up."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def test_what_was_claimed_for_a_client_that_is_gone_is_released_at_once(own: Node):
    await own.enqueue(message(), message())
    client = Client()

    async def claim(wanted: Callable[[], bool]) -> list[Delivery]:
        claimed = await own.service.claim("orders", 10, None, None, wanted)
        assert len(claimed) == 2
        client.gone.set()
        await settled()
        return claimed

    assert await unless_gone(client, claim, own.service.release) == []
    assert [delivery.message.delivery_count for delivery in await own.service.claim("orders")] == [2, 2]


async def test_a_client_that_stays_gets_what_was_claimed_and_no_task_is_left(own: Node):
    before = asyncio.all_tasks()
    sent = await own.enqueue()
    claimed = await unless_gone(Client(), lambda wanted: own.service.claim("orders", 1, wanted=wanted), _never)
    assert [delivery.message.id for delivery in claimed] == sent
    await settled()
    assert asyncio.all_tasks() == before


async def _never(_: object) -> None:
    raise AssertionError("nothing is to be released")


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


# REST


async def test_a_receive_over_rest_waits_and_is_answered_with_the_message():
    async with rest() as api:
        poll = asyncio.ensure_future(api.receive(wait_ms=20_000))
        await settled()
        assert not poll.done()
        message_id = await api.enqueue()
        await settled()
        assert [message["id"] for message in poll.result()] == [message_id]
        empty = asyncio.ensure_future(api.receive(wait_ms=20_000))
        await settled()
        await api.clock.advance(ms(20_000))
        await settled()
        assert empty.result() == []


@pytest.mark.parametrize("sent", ["-1", "60001", '"1"', "1.5", "true"])
async def test_a_wait_that_is_none_is_refused_by_name_over_rest(sent: str):
    async with rest() as api:
        answer = await api.post("/v1/queues/orders:receive", f'{{"wait_ms":{sent}}}'.encode())
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("wait_ms must be ")
