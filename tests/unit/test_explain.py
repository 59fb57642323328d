"""Why a message is or is not delivered now: one reason in words, a code, and when that changes by itself."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from sqslite.adapters.clock import VirtualClock
from sqslite.domain.errors import MessageNotFound
from sqslite.domain.explain import Why, explain
from sqslite.domain.leases import Nack, Wish
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import RETENTION_MS_DEFAULT, ms
from sqslite.domain.messages import BodyKind, Message
from sqslite.domain.ports import Blocker, Sighting
from sqslite.domain.queues import Queue, QueueSettings
from tests.unit.node import Node, message, node

NOW = VirtualClock().now()
SOON, LATER = NOW + ms(1_500), NOW + ms(9_000)
ORDERS = Queue(name="orders", partition_id=1, created_at=NOW, changed_at=NOW)
PAUSED = replace(ORDERS, paused=True)
FIFO = replace(ORDERS, settings=QueueSettings(fifo=True))


def before(lease_until: datetime | None = None, **fields: Any) -> Blocker:
    """Message 3, which is ready and kept for ever unless the fields say otherwise."""
    return Blocker(**{"id": 3, "not_before": NOW, "expires_at": None, "lease_until": lease_until, **fields})


def seen(queue: Queue = ORDERS, blocked_by: Blocker | None = None, **fields: object) -> Sighting:
    return Sighting(now=NOW, queue=queue, blocked_by=blocked_by, message=replace(READY, **fields))


READY = Message(
    id=7,
    body=b"1",
    body_kind=BodyKind.JSON,
    attributes={},
    enqueued_at=NOW,
    not_before=NOW,
    first_claimed_at=None,
    lease_until=None,
    expires_at=LATER,
    delivery_count=0,
    deliveries_before=0,
    max_retries=5,
    dlq=None,
    trace_id=None,
    group_id=None,
    dedup_id=None,
    last_error=None,
    origin_queue=None,
    origin_delivery_count=None,
)

NEVER = "but its retention ends at 2026-01-01T00:00:{}Z, so it is never delivered"
CASES = [
    (seen(), State.READY, Why.READY, "it can be received now", LATER),
    (seen(expires_at=None), State.READY, Why.READY, "it can be received now", None),
    (
        seen(not_before=SOON),
        State.DELAYED,
        Why.DELAYED,
        "it is delayed until 2026-01-01T00:00:01.500Z",
        SOON,
    ),
    (
        seen(not_before=SOON, delivery_count=3),
        State.DELAYED,
        Why.WAITING_FOR_RETRY,
        "delivery 3 failed; the next one is possible at 2026-01-01T00:00:01.500Z",
        SOON,
    ),
    (
        seen(not_before=LATER, expires_at=SOON),
        State.DELAYED,
        Why.DELAYED,
        f"it is delayed until 2026-01-01T00:00:09.000Z, {NEVER.format('01.500')}",
        SOON,
    ),
    (
        seen(not_before=LATER, expires_at=LATER, delivery_count=3),
        State.DELAYED,
        Why.WAITING_FOR_RETRY,
        f"delivery 3 failed; the next one is possible at 2026-01-01T00:00:09.000Z, {NEVER.format('09.000')}",
        LATER,
    ),
    (
        seen(lease_until=SOON, delivery_count=1),
        State.LEASED,
        Why.LEASED,
        "a receiver holds it until 2026-01-01T00:00:01.500Z, unless it acks or gives it up before",
        SOON,
    ),
    (
        seen(lease_until=NOW, delivery_count=1),
        State.LEASED,
        Why.LEASE_ENDED,
        "its lease ended at 2026-01-01T00:00:00.000Z and is settled within a second",
        None,
    ),
    (
        seen(expires_at=NOW),
        State.READY,
        Why.RETENTION_OVER,
        "its retention ended at 2026-01-01T00:00:00.000Z: it is not delivered, and deleted soon",
        None,
    ),
    (seen(PAUSED), State.READY, Why.QUEUE_PAUSED, "queue orders is paused until somebody resumes it", None),
    (
        seen(FIFO, before(SOON), group_id="it's"),
        State.READY,
        Why.BEHIND_IN_GROUP,
        'in group "it\'s" it comes behind message 3',
        SOON,
    ),
]


@pytest.mark.parametrize(("sighting", "state", "code", "reason", "changes_at"), CASES)
def test_each_reason_in_words_as_a_code_and_when_it_changes(
    sighting: Sighting, state: State, code: Why, reason: str, changes_at: datetime | None
):
    told = explain(sighting)
    assert (told.state, told.code, told.reason, told.changes_at) == (state, code, reason, changes_at)


def test_every_code_is_there():
    assert {code for _, _, code, _, _ in CASES} == set(Why)


@pytest.mark.parametrize(
    ("sighting", "code"),
    [
        # A holder keeps the message whatever else is the case.
        (seen(PAUSED, lease_until=SOON, expires_at=NOW), Why.LEASED),
        (seen(PAUSED, lease_until=NOW, expires_at=NOW), Why.LEASE_ENDED),
        # What is never delivered again need not wait.
        (seen(PAUSED, expires_at=NOW, not_before=SOON), Why.RETENTION_OVER),
        (seen(FIFO, before(), expires_at=NOW), Why.RETENTION_OVER),
        # What changes by itself stands before what somebody must do.
        (seen(PAUSED, not_before=SOON), Why.DELAYED),
        (seen(PAUSED, not_before=SOON, delivery_count=1), Why.WAITING_FOR_RETRY),
        (seen(FIFO, before(), not_before=SOON), Why.DELAYED),
        (seen(replace(FIFO, paused=True), before()), Why.QUEUE_PAUSED),
        # Only a FIFO queue holds a group back.
        (seen(ORDERS, before()), Why.READY),
        (seen(FIFO, None, delivery_count=1), Why.READY),
    ],
)
def test_of_several_reasons_the_one_before_all_others(sighting: Sighting, code: Why):
    assert explain(sighting).code is code


@pytest.mark.parametrize("delivery_count", [0, 1])
def test_a_message_whose_retention_ends_before_its_time_changes_at_that_end(delivery_count: int):
    assert explain(seen(not_before=LATER, expires_at=SOON, delivery_count=delivery_count)).changes_at == SOON
    assert explain(seen(not_before=LATER, expires_at=None, delivery_count=delivery_count)).changes_at == LATER


@pytest.mark.parametrize(
    ("blocker", "expires_at", "changes_at"),
    [
        # It is leased: nothing else ends that by itself.
        (before(SOON), None, SOON),
        (before(LATER, expires_at=SOON), None, LATER),
        (before(LATER), SOON, SOON),
        # Its lease is about to be settled.
        (before(NOW), LATER, None),
        # It waits for its retry, or would if its retention did not end before.
        (before(not_before=SOON), None, SOON),
        (before(not_before=SOON, expires_at=LATER), LATER, SOON),
        (before(not_before=LATER, expires_at=SOON), None, SOON),
        (before(not_before=LATER), SOON, SOON),
        # It could be received itself.
        (before(), None, None),
        (before(expires_at=SOON), LATER, SOON),
        (before(expires_at=LATER), SOON, SOON),
    ],
)
def test_a_message_behind_another_changes_when_either_does(
    blocker: Blocker, expires_at: datetime | None, changes_at: datetime | None
):
    told = explain(seen(FIFO, blocker, expires_at=expires_at))
    assert (told.code, told.blocked_by, told.changes_at) == (Why.BEHIND_IN_GROUP, 3, changes_at)


def test_an_instant_is_told_in_utc_with_milliseconds():
    odd = NOW.replace(microsecond=123_999)
    assert "2026-01-01T00:00:00.123Z" in explain(seen(not_before=odd)).reason


# Through a node


@pytest.fixture
def own() -> Node:
    return node()


async def why(on: Node, message_id: int) -> Why:
    told = await on.inspection.explain(message_id)
    assert told.message.id == message_id
    return told.code


async def test_a_message_is_explained_through_its_life(own: Node):
    (one,) = await own.enqueue(message(delay_ms=1_000, retention_ms=60_000))
    assert await why(own, one) is Why.DELAYED
    own.shift(1_000)
    assert await why(own, one) is Why.READY
    held = await own.claim_one(visibility_ms=5_000)
    told = await own.inspection.explain(one)
    assert (told.queue, told.code, told.changes_at) == ("orders", Why.LEASED, own.clock.now() + ms(5_000))
    own.shift(5_000)
    assert await why(own, one) is Why.LEASE_ENDED
    await own.sweep.settle_due()
    await own.administration.pause("orders")
    assert await why(own, one) is Why.QUEUE_PAUSED
    await own.administration.resume("orders")
    held = await own.claim_one()
    await own.service.nack([Nack(held.receipt, Wish(delay_ms=1_000))])
    assert await why(own, one) is Why.WAITING_FOR_RETRY
    own.shift(54_000)
    assert await why(own, one) is Why.RETENTION_OVER
    await own.sweep.clear()
    with pytest.raises(MessageNotFound, match=rf"^message {one} does not exist"):
        await own.inspection.explain(one)


async def test_a_message_behind_another_is_explained_by_that_one(own: Node):
    await own.create("orders", fifo=True)
    first, second, third = await own.enqueue(*[message(group_id="a") for _ in range(3)])
    told = [await own.inspection.explain(one) for one in (first, second, third)]
    assert [one.code for one in told] == [Why.READY, Why.BEHIND_IN_GROUP, Why.BEHIND_IN_GROUP]
    held = await own.claim_one()
    assert await why(own, first) is Why.LEASED
    assert [one.blocked_by for one in told] == [None, first, first]
    assert f"message {first}" in (await own.inspection.explain(third)).reason
    await own.service.ack([held.receipt])
    assert await why(own, second) is Why.READY


async def test_a_dead_letter_is_found_in_the_queue_that_it_went_to(own: Node):
    (one,) = await own.enqueue(message(max_retries=1, dlq="dead"))
    await own.service.nack([Nack((await own.claim_one()).receipt)])
    told = await own.inspection.explain(one)
    assert (told.queue, told.code) == ("dead", Why.READY)
    assert told.changes_at == told.message.enqueued_at + ms(RETENTION_MS_DEFAULT)
