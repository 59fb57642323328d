"""What queues' settings change: for messages, for receives, for leases that end, here and on other nodes."""

import pytest

from sqslite.domain.directory import REMEMBERED_MS
from sqslite.domain.errors import BodyTooLarge, InvalidValue, QueueNotFound
from sqslite.domain.leases import Nack, Wish
from sqslite.domain.limits import ms
from sqslite.domain.queues import DedupScope, Defaults, QueueSettings
from sqslite.domain.retry import Backoff, BackoffKind
from tests.unit.node import Node, message, node


@pytest.fixture
def own() -> Node:
    return node()


async def put(on: Node, queue: str = "orders", **settings: object) -> bool:
    """Whether the queue was created now."""
    made, created = await on.administration.put(queue, QueueSettings(**settings))
    assert made == await on.administration.get(queue)
    assert (made.name, made.settings) == (queue, QueueSettings(**settings))
    return created


async def test_settings_hold_at_once_on_the_node_that_was_told(own: Node):
    await own.enqueue()
    await put(own, visibility_ms=1_000, delay_ms=2_000, max_retries=3, dlq="dead")
    delivery = await own.claim_one()
    assert delivery.message.lease_until == own.clock.now() + ms(1_000)
    await own.enqueue()
    assert await own.service.claim("orders") == []
    own.shift(2_000)
    late = (await own.service.claim("orders", visibility_ms=60_000))[0].message
    assert (late.max_retries, late.dlq) == (3, "dead")


async def test_another_node_goes_by_the_new_settings_within_a_second(own: Node):
    other = own.neighbour()
    await other.enqueue(message(), message(), message())
    await put(own, visibility_ms=7_000)
    assert (await other.claim_one()).message.lease_until == own.clock.now() + ms(30_000)
    own.shift(REMEMBERED_MS - 1)
    assert (await other.claim_one()).message.lease_until == own.clock.now() + ms(30_000)
    own.shift(1)
    assert (await other.claim_one()).message.lease_until == own.clock.now() + ms(7_000)
    assert REMEMBERED_MS <= 1_000


@pytest.mark.parametrize(("asked_ms", "given_ms"), [(None, 5_000), (0, 0), (1, 1), (9_000, 9_000)])
async def test_a_message_that_says_its_delay_is_not_given_the_queues(own: Node, asked_ms: int | None, given_ms: int):
    await put(own, delay_ms=5_000)
    await own.enqueue(message(delay_ms=asked_ms))
    (kept,) = await own.messages()
    assert kept.not_before == own.clock.now() + ms(given_ms)


async def test_a_queues_body_limit_refuses_that_message_alone(own: Node):
    await put(own, body_bytes_max=3)
    kept, refused, other = await own.service.enqueue("orders", [message(b"123"), message(b"1234"), message(b"1")])
    assert isinstance(refused, BodyTooLarge)
    assert str(refused) == "body must be at most 3 bytes, attributes included; got 4 bytes"
    assert [m.id for m in await own.messages()] == [kept.id, other.id]
    assert own.observer.enqueued_in == {"orders": 2}


async def test_the_services_body_limit_stands_above_a_queues():
    own = node(defaults=Defaults(body_bytes_max=3))
    await own.create("orders", body_bytes_max=100)
    (refused,) = await own.service.enqueue("orders", [message(b"1234")])
    assert str(refused) == "body must be at most 3 bytes, attributes included; got 4 bytes"
    with pytest.raises(InvalidValue, match=r"^body_bytes_max must be 1 to 3; got 4$"):
        await own.administration.put("orders", QueueSettings(body_bytes_max=4))


@pytest.mark.parametrize("how", ["expiry", "nack"])
async def test_a_queues_backoff_holds_for_leases_that_end(own: Node, how: str):
    await put(own, visibility_ms=1_000, backoff=Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=2_000, factor=3.0))
    await own.enqueue()
    for pause_ms in (2_000, 6_000, 18_000):
        delivery = await own.claim_one()
        if how == "nack":
            assert await own.service.nack([Nack(delivery.receipt)]) == [None]
        else:
            own.shift(1_000)
            assert await own.sweep.settle_due() == 1
        own.shift(pause_ms - 1)
        assert await own.service.claim("orders") == []
        own.shift(1)


async def test_a_nack_that_says_its_delay_is_not_given_the_queues_backoff(own: Node):
    await put(own, backoff=Backoff(kind=BackoffKind.FIXED, base_ms=60_000))
    await own.enqueue()
    await own.service.nack([Nack((await own.claim_one()).receipt, Wish(delay_ms=0))])
    assert (await own.claim_one()).message.delivery_count == 2


async def test_a_queues_dead_letter_queue_and_deliveries_hold_for_messages_that_name_none(own: Node):
    await put(own, max_retries=1, dlq="dead")
    ids = await own.enqueue(message(), message(max_retries=2), message(dlq="graveyard"))
    await own.service.nack([Nack(delivery.receipt) for delivery in await own.service.claim("orders")])
    assert [m.id for m in await own.messages("dead")] == [ids[0]]
    assert [m.id for m in await own.messages("graveyard")] == [ids[2]]
    assert [m.id for m in await own.messages()] == [ids[1]]


async def test_messages_that_are_there_go_by_the_dead_letter_queue_that_is_set_later(own: Node):
    ids = await own.enqueue(message(), message(max_retries=3), message(dlq="graveyard"))
    deliveries = await own.service.claim("orders")
    assert [(d.message.max_retries, d.message.dlq) for d in deliveries] == [(5, None), (3, None), (5, "graveyard")]
    await put(own, max_retries=1, dlq="dead")
    page = await own.inspection.peek("orders", None, None, None)
    assert [(m.max_retries, m.dlq) for _, m in page.messages] == [(1, "dead"), (3, "dead"), (1, "graveyard")]
    seen = await own.inspection.explain(ids[1])
    assert (seen.message.max_retries, seen.message.dlq) == (3, "dead")
    await own.service.nack([Nack(delivery.receipt) for delivery in deliveries])
    assert [m.id for m in await own.messages("dead")] == [ids[0]]
    assert [m.id for m in await own.messages("graveyard")] == [ids[2]]
    await put(own, max_retries=1)
    for _ in range(5):
        await own.service.nack([Nack((await own.claim_one()).receipt)])
    assert [m.id for m in await own.messages()] == [ids[1]]


async def test_a_holder_may_reject_what_only_its_queue_has_a_dead_letter_queue_for(own: Node):
    (message_id,) = await own.enqueue()
    receipt = (await own.claim_one()).receipt
    (refused,) = await own.service.nack([Nack(receipt, Wish(dead_letter=True))])
    assert isinstance(refused, InvalidValue)
    await put(own, dlq="dead")
    assert await own.service.nack([Nack(receipt, Wish(dead_letter=True))]) == [None]
    assert [m.id for m in await own.messages("dead")] == [message_id]


async def test_another_node_settles_by_the_new_dead_letter_queue_within_a_second(own: Node):
    other = own.neighbour()
    (message_id,) = await other.enqueue()
    await put(own, max_retries=1, dlq="dead")
    own.shift(REMEMBERED_MS)
    await other.service.nack([Nack((await other.claim_one()).receipt)])
    assert [m.id for m in await own.messages("dead")] == [message_id]


@pytest.mark.parametrize("fifo", [True, False])
async def test_a_body_that_was_sent_is_known_again_where_the_queue_goes_by_content(own: Node, fifo: bool):
    await put(own, fifo=fifo, dedup_by_content=True)
    sent = [(b"1", "a", None), (b"1", "b", None), (b"2", "a", None), (b"1", "a", "d")]
    first, again, other, own_id = await own.service.enqueue(
        "orders", [message(body, group_id=group_id, dedup_id=dedup_id) for body, group_id, dedup_id in sent]
    )
    assert [one.duplicate for one in (first, again, other, own_id)] == [False, True, False, False]
    assert again.id == first.id
    await put(own, fifo=fifo, dedup_by_content=True, dedup_scope=DedupScope.GROUP)
    (elsewhere,) = await own.service.enqueue("orders", [message(b"1", group_id="b")])
    assert not elsewhere.duplicate
    await own.administration.purge("orders")
    (anew,) = await own.service.enqueue("orders", [message(b"1", group_id="b")])
    assert not anew.duplicate


async def test_a_put_says_whether_it_created_the_queue(own: Node):
    assert await put(own, delay_ms=1)
    assert not await put(own, visibility_ms=1)
    await own.enqueue(queue="other")
    assert not await put(own, queue="other")


async def test_a_queue_is_not_its_own_dead_letter_queue(own: Node):
    with pytest.raises(InvalidValue, match=r"^dlq must be another queue than this one"):
        await own.administration.put("orders", QueueSettings(dlq="orders"))
    with pytest.raises(QueueNotFound):
        await own.administration.get("orders")


@pytest.mark.parametrize(("before", "after"), [({}, {"fair": True}), ({"fair": True}, {})])
async def test_fairness_can_be_switched_on_and_off_and_nothing_is_lost(own: Node, before: dict, after: dict):
    await put(own, **before)
    ids = await own.enqueue(*[message(group_id=group) for group in "aab"])
    await put(own, **after)
    ids += await own.enqueue(*[message(group_id=group) for group in "aab"])
    assert sorted(delivery.message.id for delivery in await own.service.claim("orders", 10)) == ids


async def test_a_new_retention_holds_for_what_is_enqueued_from_then_on(own: Node):
    await put(own, retention_ms=1_000)
    await own.enqueue()
    await put(own, retention_ms=9_000)
    await own.enqueue()
    assert [(m.expires_at - own.clock.now()) / ms(1) for m in await own.messages()] == [1_000, 9_000]


async def test_a_new_deduplication_window_holds_for_what_is_enqueued_from_then_on(own: Node):
    await put(own, dedup_ms=1_000)
    (first,) = await own.enqueue(message(dedup_id="d"))
    await put(own, dedup_ms=60_000)
    own.shift(999)
    assert await own.enqueue(message(dedup_id="d")) == [first]
    own.shift(1)
    (second,) = await own.enqueue(message(dedup_id="d"))
    own.shift(59_999)
    assert await own.enqueue(message(dedup_id="d")) == [second]


async def test_pausing_leaves_the_settings_as_they_are(own: Node):
    await put(own, fair=True, visibility_ms=7_000)
    await own.administration.pause("orders")
    assert (await own.administration.get("orders")).settings == QueueSettings(fair=True, visibility_ms=7_000)
