"""QueueService, enqueue and claim: what is refused, what queues decide, what observers are told."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqslite.domain import limits
from sqslite.domain.errors import BodyTooLarge, InvalidValue, QueueNotFound
from sqslite.domain.leases import Nack
from sqslite.domain.limits import ms
from sqslite.domain.messages import Accepted, BodyKind, NewMessage
from sqslite.domain.queues import Defaults
from sqslite.domain.retry import Backoff, BackoffKind
from tests.conformance.claiming import BODIES
from tests.unit.node import Node, message, node

BAD_MESSAGES = [
    ("body", message(b"null")),
    ("body", message(b" null\n")),
    ("body", message(b"\r\n")),
    ("body", message(b'{"n": 1')),
    ("body", message(b'"\xff"')),
    ("body", message(b"[" * 100_000)),
    ("body", message(b"")),
    ("body", message(b"", body_kind=BodyKind.BINARY)),
    ("body", message(b"\xff", body_kind=BodyKind.TEXT)),
    ("delay", message(delay_ms=-1)),
    ("delay", message(delay_ms=limits.DELAY_MS_MAX + 1)),
    ("max_retries", message(max_retries=-1)),
    ("max_retries", message(max_retries=1_001)),
    ("dlq", message(dlq="no such name")),
    ("dlq", message(dlq="")),
    ("dlq", message(dlq="orders")),
    ("trace_id", message(trace_id="x" * 257)),
    ("trace_id", message(trace_id="a\0")),
]
GOOD_MESSAGES = [
    message(b"0"),
    message(b'"null"'),
    message(b"null", body_kind=BodyKind.TEXT),
    message(b"\xff\x00", body_kind=BodyKind.BINARY),
    message("naïve".encode(), body_kind=BodyKind.TEXT),
    message(delay_ms=0),
    message(delay_ms=limits.DELAY_MS_MAX),
    message(max_retries=1_000, dlq="dead", trace_id="x" * 256),
]


@pytest.fixture
def own() -> Node:
    return node()


@pytest.mark.parametrize(("field", "bad"), BAD_MESSAGES)
async def test_a_bad_message_is_refused_by_the_name_of_its_field(own: Node, field: str, bad: NewMessage):
    (refusal,) = await own.service.enqueue("orders", [bad])
    assert isinstance(refusal, InvalidValue)
    assert refusal.field == field
    assert str(refusal).startswith(f"{field} must be ")


@pytest.mark.parametrize("good", GOOD_MESSAGES)
async def test_a_message_at_the_limits_is_taken_and_kept_as_it_is(own: Node, good: NewMessage):
    (message_id,) = await own.enqueue(good)
    (kept,) = await own.messages()
    assert (kept.id, kept.body, kept.body_kind, kept.trace_id) == (message_id, good.body, good.body_kind, good.trace_id)
    assert kept.not_before == own.clock.now() + ms(good.delay_ms or 0)


@given(st.lists(st.sampled_from(GOOD_MESSAGES + [bad for _, bad in BAD_MESSAGES]), max_size=12))
async def test_bad_messages_fail_alone_and_the_others_get_ids_in_order(sent: list[NewMessage]):
    own = node()
    results = await own.service.enqueue("orders", sent)
    good = [sent_message in GOOD_MESSAGES for sent_message in sent]
    assert [isinstance(result, Accepted) for result in results] == good
    ids = [result.id for result in results if isinstance(result, Accepted)]
    kept = await own.messages()
    assert [m.id for m in kept] == ids == sorted(set(ids))
    assert [m.body for m in kept] == [m.body for m in sent if m in GOOD_MESSAGES]
    assert own.observer.enqueued_in["orders"] == len(ids)


@pytest.mark.parametrize("body", [*BODIES, b' {"padded": 1}\n'])
@pytest.mark.parametrize("kind", list(BodyKind))
async def test_a_body_of_any_kind_comes_back_byte_for_byte(own: Node, body: bytes, kind: BodyKind):
    await own.enqueue(message(body, body_kind=kind))
    delivered = (await own.claim_one()).message
    assert (delivered.body, delivered.body_kind) == (body, kind)


async def test_a_body_may_be_as_large_as_the_limit_and_no_larger():
    own = node(defaults=Defaults(body_bytes_max=10))
    kept, refused = await own.service.enqueue("orders", [message(b"1" * 10), message(b"1" * 11)])
    assert isinstance(kept, Accepted)
    assert isinstance(refused, BodyTooLarge)
    assert str(refused) == "body must be at most 10 bytes, attributes included; got 11 bytes"


async def test_a_queue_comes_into_being_with_its_first_good_message_only(own: Node):
    await own.service.enqueue("orders", [])
    await own.service.enqueue("orders", [message(b"null")])
    assert await own.service.claim("orders") == []
    assert await own.backend.catalog.page("", 10) == []
    await own.enqueue(message(dlq="dead"))
    assert [queue.name for queue in await own.backend.catalog.page("", 10)] == ["orders"]


async def test_a_queue_that_must_be_there_does_not_come_into_being(own: Node):
    with pytest.raises(QueueNotFound):
        await own.service.enqueue("orders", [message()], create=False)
    assert await own.backend.catalog.find("orders") is None
    # One that is deleted meanwhile, behind this node's back, does not come back either.
    await own.enqueue()
    await own.backend.catalog.drop("orders")
    with pytest.raises(QueueNotFound):
        await own.service.enqueue("orders", [message()], create=False)


async def test_a_message_that_was_measured_is_not_measured_again():
    own = node(defaults=Defaults(body_bytes_max=1))
    (refused,) = await own.service.enqueue("orders", [message(b"12")])
    (taken,) = await own.service.enqueue("orders", [message(b"12")], measured=True)
    assert (type(refused), type(taken)) == (BodyTooLarge, Accepted)


@pytest.mark.parametrize("name", ["", "a b", "x" * 81])
async def test_a_bad_queue_name_is_refused_as_a_whole(own: Node, name: str):
    with pytest.raises(InvalidValue, match=r"^queue must be "):
        await own.service.enqueue(name, [message()])
    with pytest.raises(InvalidValue, match=r"^queue must be "):
        await own.service.claim(name)
    assert await own.backend.catalog.page("", 10) == []


async def test_without_settings_the_services_defaults_hold():
    own = node(defaults=Defaults(visibility_ms=7_000, claim_max=2, max_retries=4))
    await own.enqueue(message(), message(), message())
    deliveries = await own.service.claim("orders")
    assert len(deliveries) == 2
    first = deliveries[0].message
    assert first.lease_until == own.clock.now() + ms(7_000)
    assert (first.max_retries, first.dlq) == (4, None)


async def test_the_defaults_are_the_references(own: Node):
    await own.enqueue(*[message() for _ in range(11)])
    deliveries = await own.service.claim("orders")
    assert len(deliveries) == 10
    assert deliveries[0].message.max_retries == 5
    assert deliveries[0].message.lease_until == own.clock.now() + ms(30_000)


async def test_a_queues_settings_come_before_the_defaults_and_a_messages_own_before_both(own: Node):
    await own.create("orders", visibility_ms=9_000, max_retries=3, dlq="dead")
    await own.enqueue(message(b"1"), message(b"2", max_retries=8, dlq="graveyard"))
    one, two = [delivery.message for delivery in await own.service.claim("orders")]
    assert (one.max_retries, one.dlq) == (3, "dead")
    assert (two.max_retries, two.dlq) == (8, "graveyard")
    assert one.lease_until == two.lease_until == own.clock.now() + ms(9_000)


@pytest.mark.parametrize(("asked_ms", "given_ms"), [(None, 9_000), (0, 9_000), (1, 1), (43_200_000, 43_200_000)])
async def test_a_claim_may_ask_for_a_visibility_of_its_own(own: Node, asked_ms: int | None, given_ms: int):
    await own.create("orders", visibility_ms=9_000)
    await own.enqueue()
    delivery = await own.claim_one(visibility_ms=asked_ms)
    assert delivery.message.lease_until == own.clock.now() + ms(given_ms)


@pytest.mark.parametrize(
    ("limit", "visibility_ms", "text"),
    [
        (0, None, "max must be 1 to 1000; got 0"),
        (1_001, None, "max must be 1 to 1000; got 1001"),
        (1, -1, "visibility_ms must be 0 to 43200000; got -1"),
        (1, 43_200_001, "visibility_ms must be 0 to 43200000; got 43200001"),
    ],
)
async def test_a_claim_beyond_the_limits_leases_nothing(own: Node, limit: int, visibility_ms: int | None, text: str):
    await own.enqueue()
    with pytest.raises(InvalidValue) as refusal:
        await own.service.claim("orders", limit, visibility_ms)
    assert str(refusal.value) == text
    assert (await own.depth()).ready == 1


async def test_a_claim_takes_up_to_a_thousand_oldest_first(own: Node):
    ids = await own.enqueue(*[message() for _ in range(1_001)])
    assert [d.message.id for d in await own.service.claim("orders", 1_000)] == ids[:1_000]
    assert own.observer.claimed_from == {"orders": 1_000}


async def test_concurrent_claims_on_two_nodes_share_the_messages_out(own: Node):
    other = own.neighbour()
    ids = await own.enqueue(*[message() for _ in range(30)])
    claims = await asyncio.gather(*[each.service.claim("orders", 4) for each in (own, other) * 5])
    assert sorted(delivery.message.id for claim in claims for delivery in claim) == ids
    assert own.observer.claimed_from["orders"] + other.observer.claimed_from["orders"] == 30


# A claim that comes back short


async def test_a_claim_hands_out_at_once_what_has_just_expired(own: Node):
    ids = await own.enqueue(message(b"1"), message(b"2"))
    old = await own.claim_one(visibility_ms=1_000)
    own.shift(1_000)
    deliveries = await own.service.claim("orders", 10)
    assert [(d.message.id, d.message.delivery_count) for d in deliveries] == [(ids[1], 1), (ids[0], 2)]
    assert deliveries[1].receipt != old.receipt
    assert own.observer.requeued_count == 1
    assert own.observer.claimed_from == {"orders": 3}


async def test_a_claim_takes_nothing_from_a_lease_that_runs(own: Node):
    await own.enqueue()
    await own.claim_one(visibility_ms=1_000)
    own.shift(999)
    assert await own.service.claim("orders") == []
    assert own.observer.requeued_count == 0


async def test_a_claim_that_is_full_leaves_settling_to_others(own: Node):
    await own.enqueue(message(), message())
    await own.claim_one(visibility_ms=1_000)
    own.shift(1_000)
    await own.claim_one()
    assert own.observer.requeued_count == 0


async def test_a_short_claim_settles_its_own_queue_only(own: Node):
    for queue in ("orders", "other"):
        await own.enqueue(queue=queue)
        await own.claim_one(queue, 1_000)
    own.shift(1_000)
    assert len(await own.service.claim("orders")) == 1
    assert (await own.depth("other")).in_flight == 1


async def test_what_waits_out_its_backoff_is_not_handed_out_by_the_claim_that_settles_it(own: Node):
    await own.create("orders", backoff=Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=2_000))
    await own.enqueue()
    for pause_ms in (2_000, 4_000, 8_000):
        await own.claim_one(visibility_ms=1_000)
        own.shift(1_000)
        assert await own.service.claim("orders") == []
        own.shift(pause_ms - 1)
        assert await own.service.claim("orders") == []
        own.shift(1)


async def test_a_message_that_is_never_acked_ends_in_its_dlq_after_max_retries_with_its_id(own: Node):
    (message_id,) = await own.enqueue(message(b'{"a":1}', max_retries=3, dlq="dead", trace_id="t"))
    enqueued_at = own.clock.now()
    for delivery_count in (1, 2, 3):
        delivery = await own.claim_one(visibility_ms=1_000)
        assert delivery.message.delivery_count == delivery_count
        own.shift(1_000)
    assert await own.service.claim("orders") == []
    assert (own.observer.requeued_count, own.observer.dead_lettered_count) == (2, 1)
    dead = (await own.claim_one("dead")).message
    assert (dead.id, dead.body, dead.trace_id, dead.enqueued_at) == (message_id, b'{"a":1}', "t", enqueued_at)
    assert (dead.delivery_count, dead.origin_queue, dead.origin_delivery_count) == (1, "orders", 3)


async def test_a_dead_letter_goes_on_to_the_dlq_of_the_queue_it_is_in(own: Node):
    await own.create("dead", dlq="deader", max_retries=2)
    ids = await own.enqueue(message(max_retries=1, dlq="dead"), message(dlq="dead"))
    for queue, deliveries in (("orders", 5), ("dead", 2)):
        for _ in range(deliveries):
            for delivery in await own.service.claim(queue):
                shown = delivery.message
                assert shown.dlq == ("dead" if queue == "orders" else "deader")
                assert shown.max_retries == (1 if shown.id == ids[0] else deliveries)
                await own.service.nack([Nack(delivery.receipt)])
    deliveries = await own.service.claim("deader")
    assert [(d.message.id, d.message.dlq, d.message.origin_queue) for d in deliveries] == [
        (ids[0], None, "dead"),
        (ids[1], None, "dead"),
    ]


async def test_a_dead_letter_is_redelivered_for_ever(own: Node):
    await own.enqueue(message(max_retries=1, dlq="dead"))
    await own.claim_one(visibility_ms=1)
    own.shift(1)
    assert await own.service.claim("orders") == []
    for delivery_count in range(1, 10):
        assert (await own.claim_one("dead", 1)).message.delivery_count == delivery_count
        own.shift(1)


async def test_without_a_dlq_a_message_comes_back_for_ever(own: Node):
    await own.enqueue(message(max_retries=1))
    for delivery_count in range(1, 20):
        assert (await own.claim_one(visibility_ms=1)).message.delivery_count == delivery_count
        own.shift(1)
    assert own.observer.dead_lettered_count == 0


async def test_a_delayed_message_comes_in_its_time(own: Node):
    await own.enqueue(message(delay_ms=5_000))
    own.shift(4_999)
    assert await own.service.claim("orders") == []
    own.shift(1)
    assert (await own.claim_one()).message.not_before == own.clock.now()
    assert own.clock.now().utcoffset() == timedelta(0)
