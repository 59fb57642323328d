"""FIFO and fair queues through the service: order in groups, who is woken, and receives that are tried again."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.errors import InvalidValue, OutcomeUnknown
from sqslite.domain.fairness import OLDEST_EVERY_CLAIMS
from sqslite.domain.leases import Nack, Refusal, Wish
from sqslite.domain.limits import ATTEMPT_MS, VISIBILITY_MS_MAX, ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Extension
from sqslite.domain.queues import QueueSettings
from sqslite.domain.retry import Backoff, BackoffKind
from tests.unit.node import Node, NotedWakeups, Plan, message, node
from tests.unit.test_wakeups import settled

Poll = asyncio.Task[list[Delivery]]


class Watched:
    """A node whose wake-ups a test can see."""

    def __init__(self) -> None:
        clock = VirtualClock()
        self.wakeups = NotedWakeups(clock)
        self.own = node(clock=clock, wakeups=self.wakeups)

    def told(self) -> list[tuple[str, int]]:
        """What was told since this was last asked."""
        told, self.wakeups.told = self.wakeups.told, []
        return told


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def own(watched: Watched) -> Iterator[Node]:
    yield watched.own
    assert not watched.wakeups._watches


def of(group: str, body: bytes = b"1", **fields: object):
    return message(body, group_id=group, **fields)


def ids(deliveries: list[Delivery]) -> list[int]:
    return [delivery.message.id for delivery in deliveries]


async def parked(on: Node, limit: int = 1, queue: str = "orders") -> Poll:
    poll = asyncio.ensure_future(on.service.claim(queue, limit, None, 20_000))
    await settled()
    assert not poll.done()
    return poll


# Order


async def test_one_batch_of_a_group_at_a_time_and_groups_beside_each_other(own: Node):
    await own.create("orders", fifo=True)
    a1, a2, b1, a3 = await own.enqueue(of("a"), of("a"), of("b"), of("a"))
    first = await own.service.claim("orders", 2)
    assert ids(first) == [a1, b1]
    assert await own.service.claim("orders") == []
    await own.service.ack([first[0].receipt])
    assert ids(await own.service.claim("orders")) == [a2, a3]


async def test_a_message_that_waits_for_its_retry_holds_its_group_back(own: Node):
    await own.create("orders", fifo=True, backoff=Backoff(kind=BackoffKind.FIXED, base_ms=5_000))
    first, second = await own.enqueue(of("a"), of("a"))
    (other,) = await own.enqueue(of("b"))
    await own.service.nack([Nack((await own.claim_one()).receipt)])
    assert ids(await own.service.claim("orders")) == [other]
    own.shift(5_000)
    assert ids(await own.service.claim("orders")) == [first, second]


async def test_an_ended_lease_is_settled_and_given_out_before_what_comes_behind_it(own: Node):
    await own.create("orders", fifo=True)
    first, second = await own.enqueue(of("a"), of("a"))
    await own.claim_one(visibility_ms=1_000)
    own.shift(999)
    assert await own.service.claim("orders") == []
    own.shift(1)
    assert ids(await own.service.claim("orders", 10)) == [first, second]


async def test_a_fair_queue_serves_its_groups_in_turn(own: Node):
    await own.create("orders", fair=True)
    flood = await own.enqueue(*[of("a") for _ in range(5)])
    late = await own.enqueue(of("b"), message())
    assert ids(await own.service.claim("orders", 3)) == [flood[0], *late]
    assert ids(await own.service.claim("orders", 10)) == flood[1:]


async def test_what_was_there_before_a_queue_was_fair_does_not_starve_behind_groups_that_are_never_empty(own: Node):
    before = await own.enqueue(message(), message())
    await own.administration.put("orders", QueueSettings(fair=True))
    served: list[int] = []
    for _ in range(2 * OLDEST_EVERY_CLAIMS):
        await own.enqueue(of("a"), of("b"))
        served += ids(await own.service.claim("orders", 1))
    assert [served.index(one) + 1 for one in before] == [OLDEST_EVERY_CLAIMS, 2 * OLDEST_EVERY_CLAIMS]


async def test_each_fair_queue_has_its_own_claims_that_take_the_oldest(own: Node):
    queues = ["orders", "mails"]
    before = {queue: (await own.enqueue(message(), queue=queue))[0] for queue in queues}
    for queue in queues:
        await own.administration.put(queue, QueueSettings(fair=True))
    for _ in range(OLDEST_EVERY_CLAIMS):
        for queue in queues:
            await own.enqueue(of("a"), queue=queue)
            served = ids(await own.service.claim(queue, 1))
    assert served == [before["mails"]]


async def test_settings_make_the_order():
    own = node()
    queue, _ = await own.administration.put("orders", QueueSettings(fair=True))
    assert queue.settings.discipline == "fair"
    assert QueueSettings().discipline == "standard"
    assert QueueSettings(fifo=True).discipline == "fifo"


# Who is woken


@pytest.mark.parametrize("how", ["ack", "ack_unproven"])
async def test_an_ack_wakes_who_waits_for_what_comes_behind_it(watched: Watched, own: Node, how: str):
    await own.create("orders", fifo=True)
    _, second = await own.enqueue(of("a"), of("a"))
    held = await own.claim_one()
    poll = await parked(own)
    watched.told()
    if how == "ack":
        await own.service.ack([held.receipt])
    else:
        await own.service.ack_unproven([held.message.id])
    await settled()
    assert ids(poll.result()) == [second]


async def test_as_many_are_woken_as_messages_were_acked(watched: Watched, own: Node):
    await own.create("orders", fifo=True)
    await own.enqueue(*[of(group) for group in "aabbcc"])
    held = await own.service.claim("orders", 3)
    polls = [await parked(own) for _ in range(3)]
    watched.told()
    await own.service.ack([held[0].receipt, held[2].receipt, held[2].receipt])
    await settled()
    assert [poll.done() for poll in polls] == [True, True, False]
    # Nobody waits for a receipt that was no longer there.
    watched.told()
    await own.service.ack([held[0].receipt])
    assert watched.told() == []
    await own.service.ack([held[1].receipt])
    await settled()
    assert all(poll.done() for poll in polls)


@pytest.mark.parametrize("fair", [False, True])
async def test_an_ack_on_other_queues_wakes_nobody(watched: Watched, own: Node, fair: bool):
    await own.create("orders", fair=fair)
    await own.enqueue(of("a"), of("a"))
    held = await own.claim_one()
    watched.told()
    await own.service.ack([held.receipt])
    assert watched.told() == []


async def test_a_dead_letter_wakes_who_waits_behind_it_and_who_waits_for_it(watched: Watched, own: Node):
    await own.create("orders", fifo=True)
    first, second = await own.enqueue(of("a", max_retries=1, dlq="dead"), of("a"))
    held = await own.claim_one()
    behind, mourner = await parked(own), await parked(own, queue="dead")
    watched.told()
    await own.service.nack([Nack(held.receipt)])
    await settled()
    assert (ids(behind.result()), ids(mourner.result())) == ([second], [first])


async def test_what_is_deleted_at_the_end_of_its_retention_wakes_who_waits_behind_it(watched: Watched, own: Node):
    await own.create("orders", fifo=True)
    _, second = await own.enqueue(of("a", retention_ms=500), of("a"))
    await own.claim_one(visibility_ms=1_000)
    own.shift(600)
    poll = await parked(own)
    own.shift(400)
    assert await own.sweep.settle_due() == 1
    await settled()
    assert ids(poll.result()) == [second]
    assert own.observer.expired_count == 1


async def test_on_a_standard_queue_a_dead_letter_wakes_only_who_waits_for_it(watched: Watched, own: Node):
    await own.enqueue(message(max_retries=1, dlq="dead"))
    held = await own.claim_one()
    watched.told()
    await own.service.nack([Nack(held.receipt)])
    assert watched.told() == [("dead", 1)]


async def test_a_nack_for_later_wakes_nobody(watched: Watched, own: Node):
    await own.create("orders", fifo=True)
    await own.enqueue(of("a"), of("a"))
    held = await own.claim_one()
    watched.told()
    await own.service.nack([Nack(held.receipt, Wish(delay_ms=1_000))])
    assert watched.told() == []


async def test_a_node_that_never_met_the_queue_leaves_the_waking_to_the_look_each_second(own: Node):
    await own.create("orders", fifo=True)
    _, second = await own.enqueue(of("a"), of("a"))
    held = await own.claim_one()
    poll = await parked(own)
    assert await own.neighbour().service.ack([held.receipt]) == [None]
    await own.advance(999)
    assert not poll.done()
    await own.advance(1)
    assert ids(poll.result()) == [second]


# Receives that are tried again


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_receive_that_is_tried_again_gets_the_same_deliveries_and_counts_them_once(own: Node, fifo: bool):
    await own.create("orders", fifo=fifo)
    await own.enqueue(*[of(group) for group in "abcd"])
    first = await own.service.claim("orders", 2, attempt_id="try")
    again = await own.service.claim("orders", 2, attempt_id="try")
    assert len(first) == 2
    assert again == first
    other = await own.service.claim("orders", 10, attempt_id="another")
    assert not set(ids(other)) & set(ids(first))
    assert own.observer.claimed_from == {"orders": 4}
    assert (await own.inspection.stats("orders"))[1].received == 4


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_receive_that_is_tried_again_holds_its_messages_from_then_on(own: Node, fifo: bool):
    await own.create("orders", fifo=fifo)
    await own.enqueue(of("a"))
    await own.service.claim("orders", 1, 30_000, attempt_id="try")
    for seconds in (29, 29, 9):
        own.shift(seconds * 1_000)
        (again,) = await own.service.claim("orders", 1, 10_000 if seconds == 9 else 30_000, attempt_id="try")
    assert again.message.lease_until == own.clock.now() + ms(10_000)
    assert again.message.delivery_count == 1
    own.shift(9_999)
    assert await own.service.claim("orders", 1) == []
    own.shift(1)
    assert len(await own.service.claim("orders", 1)) == 1


async def test_a_receive_that_is_tried_again_holds_no_message_beyond_twelve_hours(own: Node):
    await own.enqueue()
    (first,) = await own.service.claim("orders", 1, VISIBILITY_MS_MAX, attempt_id="try")
    own.shift(1_000)
    assert await own.service.claim("orders", 1, VISIBILITY_MS_MAX, attempt_id="try") == [first]


async def test_what_was_acked_while_a_receive_was_tried_again_is_not_in_its_answer():
    own = node(AckedMeanwhile)
    await own.enqueue(message(), message())
    first = await own.service.claim("orders", 2, attempt_id="try")
    assert await own.service.claim("orders", 2, attempt_id="try") == first[1:]


class AckedMeanwhile(InterceptedStore):
    """Whatever is to be extended, the first of it is acked by somebody else just before."""

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        await self._inner.ack(partition_id, [extensions[0].receipt])
        return await self._inner.extend(partition_id, extensions)


async def test_a_receive_that_is_tried_again_comes_back_as_short_as_it_was(own: Node):
    await own.enqueue(of("a"))
    first = await own.service.claim("orders", 10, attempt_id="try")
    more = await own.enqueue(of("b"))
    assert await own.service.claim("orders", 10, attempt_id="try") == first
    assert ids(await own.service.claim("orders", 10, attempt_id="next")) == more


async def test_a_short_receive_with_an_attempt_leases_no_second_time(own: Node):
    """The second claim of a short receive would be answered with the deliveries of its first."""
    old, fresh = await own.enqueue(message(b"1"), message(b"2"))
    await own.claim_one(visibility_ms=1_000)
    own.shift(1_000)
    assert ids(await own.service.claim("orders", 10, attempt_id="try")) == [fresh]
    assert ids(await own.service.claim("orders", 10)) == [old]


async def test_an_empty_handed_receive_with_an_attempt_settles_and_looks_again(own: Node):
    (only,) = await own.enqueue()
    await own.claim_one(visibility_ms=1_000)
    own.shift(1_000)
    assert ids(await own.service.claim("orders", 10, attempt_id="try")) == [only]


async def test_a_wait_with_an_attempt_is_answered_once(own: Node):
    await own.create("orders")
    poll = asyncio.ensure_future(own.service.claim("orders", 10, None, 20_000, attempt_id="try"))
    await settled()
    sent = await own.enqueue()
    await settled()
    assert ids(poll.result()) == sent
    assert await own.service.claim("orders", 10, None, 20_000, attempt_id="try") == poll.result()
    assert own.observer.claimed_from == {"orders": 1}


@pytest.mark.parametrize("how", ["ack", "nack", "expiry", "age"])
async def test_an_attempt_is_over_with_its_leases_and_after_five_minutes(own: Node, how: str):
    (old,) = await own.enqueue()
    (held,) = await own.service.claim("orders", 1, 30_000, attempt_id="try")
    if how == "ack":
        await own.service.ack([held.receipt])
        (old,) = await own.enqueue()
    elif how == "nack":
        await own.service.nack([Nack(held.receipt)])
    elif how == "expiry":
        own.shift(30_000)
        assert await own.sweep.settle_due() == 1
    else:
        await own.service.extend([Extension(held.receipt, 3_600_000)])
        own.shift(ATTEMPT_MS)
        (old,) = await own.enqueue()
    (again,) = await own.service.claim("orders", 1, attempt_id="try")
    assert again.receipt != held.receipt
    assert again.message.id == old


async def test_what_was_leased_though_the_answer_was_lost_is_found_by_trying_again():
    plan = Plan()
    own = node(lambda store: FaultyStore(store, plan))
    sent = await own.enqueue(message(), message())
    plan.faults.append(Fault.UNKNOWN_DONE)
    with pytest.raises(OutcomeUnknown):
        await own.service.claim("orders", 10, attempt_id="try")
    deliveries = await own.service.claim("orders", 10, attempt_id="try")
    assert [(d.message.id, d.message.delivery_count) for d in deliveries] == [(one, 1) for one in sent]


@pytest.mark.parametrize("attempt_id", ["", "x" * 129, "a\0", "a\n"])
async def test_an_attempt_id_out_of_its_limits_leases_nothing(own: Node, attempt_id: str):
    await own.enqueue()
    with pytest.raises(InvalidValue, match=r"^attempt_id must be "):
        await own.service.claim("orders", attempt_id=attempt_id)
    assert (await own.depth()).ready == 1
