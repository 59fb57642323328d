"""QueueService, ack, extend and nack: what becomes of a lease in its holder's hands."""

import pytest
from msgspec.structs import replace

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue, MessageNotFound, SqsliteError, StaleReceipt
from sqslite.domain.leases import SECRET_BYTES, Nack, Receipt, Wish
from sqslite.domain.limits import VISIBILITY_MS_MAX, ms
from sqslite.domain.ports import Extension
from sqslite.domain.retry import Backoff, BackoffKind
from tests.unit.node import Node, message, node


@pytest.fixture
def own() -> Node:
    return node()


async def superseded(own: Node) -> tuple[Receipt, Receipt]:
    """A receipt that a later delivery has superseded, and the one that is current."""
    await own.enqueue()
    old = await own.claim_one(visibility_ms=1_000)
    own.shift(1_000)
    return old.receipt, (await own.claim_one()).receipt


def kinds(results: list) -> list:
    return [type(result) if isinstance(result, SqsliteError) else result for result in results]


# Ack


async def test_an_acked_message_is_gone_and_a_second_ack_finds_nothing(own: Node):
    await own.enqueue()
    receipt = (await own.claim_one(visibility_ms=1_000)).receipt
    assert await own.service.ack([receipt]) == [None]
    assert kinds(await own.service.ack([receipt])) == [MessageNotFound]
    own.shift(10_000)
    assert await own.service.claim("orders") == []
    assert await own.messages() == []


async def test_a_superseded_receipt_can_neither_ack_nor_nack_nor_extend(own: Node):
    old, current = await superseded(own)
    before = await own.messages()
    assert kinds(await own.service.ack([old])) == [StaleReceipt]
    assert kinds(await own.service.nack([Nack(old, Wish(error="late"))])) == [StaleReceipt]
    assert kinds(await own.service.extend([Extension(old, 60_000), Extension(old, 0)])) == [StaleReceipt] * 2
    assert await own.messages() == before
    assert await own.service.ack([current]) == [None]


async def test_work_done_after_the_lease_ended_can_still_be_acked(own: Node):
    await own.enqueue()
    receipt = (await own.claim_one(visibility_ms=1_000)).receipt
    own.shift(60_000)
    await own.sweep.settle_due()
    assert await own.service.ack([receipt]) == [None]
    assert own.observer.lease_ages_ms == [60_000.0]


async def test_a_lease_stands_until_it_ends_or_is_settled(own: Node):
    await own.enqueue(message(), message(b"2"))
    first, second = await own.service.claim("orders", 2, visibility_ms=1_000)
    await own.service.ack([second.receipt])
    assert [type(why) for why in await own.service.standing([first.receipt, second.receipt])] == [
        type(None),
        MessageNotFound,
    ]
    own.shift(1_000)
    # It has ended, whether or not somebody has settled it.
    assert isinstance((await own.service.standing([first.receipt]))[0], StaleReceipt)
    await own.sweep.settle_due()
    assert isinstance((await own.service.standing([first.receipt]))[0], StaleReceipt)


async def test_acks_over_several_queues_are_answered_in_order(own: Node):
    receipts = []
    for queue in ("a", "b", "a", "c", "b"):
        await own.enqueue(queue=queue)
        receipts.append((await own.claim_one(queue)).receipt)
    await own.service.ack([receipts[3]])
    forged = replace(receipts[2], secret=bytes(SECRET_BYTES))
    elsewhere = replace(receipts[4], partition_id=receipts[0].partition_id)
    answers = await own.service.ack([receipts[1], forged, receipts[3], elsewhere, receipts[0]])
    assert kinds(answers) == [None, StaleReceipt, MessageNotFound, StaleReceipt, None]
    assert [str(receipts[place].message_id) in str(answers[at]) for at, place in ((1, 2), (2, 3), (3, 4))] == [True] * 3
    assert [len(await own.messages(queue)) for queue in ("a", "b", "c")] == [1, 1, 0]
    assert await own.service.ack([]) == []


async def test_the_age_of_each_acked_lease_is_told_exactly(own: Node):
    await own.enqueue(message(b"1"), message(b"2"))
    first = await own.claim_one()
    own.shift(250)
    second = await own.claim_one()
    own.shift(1_000)
    assert await own.service.ack([second.receipt, first.receipt, first.receipt]) == [None] * 3
    await own.service.ack([first.receipt])
    # What is acked twice in one call is one message less.
    assert own.observer.lease_ages_ms == [1_000.0, 1_250.0]


async def test_an_ack_without_proof_takes_any_message_by_its_id(own: Node):
    ready, delayed = await own.enqueue(message(), message(delay_ms=1_000))
    (leased,) = await own.enqueue(queue="other")
    await own.claim_one("other")
    own.shift(40)
    answers = await own.service.ack_unproven([leased, 999, ready, delayed])
    assert kinds(answers) == [None, MessageNotFound, None, None]
    assert "message 999 " in str(answers[1])
    # A message that was never claimed has no lease whose age could be told.
    assert own.observer.lease_ages_ms == [40.0, -1.0, -1.0]
    assert kinds(await own.service.ack_unproven([ready])) == [MessageNotFound]


# Extend


async def test_an_extended_lease_ends_visibility_from_now(own: Node):
    await own.enqueue()
    receipt = (await own.claim_one(visibility_ms=1_000)).receipt
    own.shift(900)
    assert await own.service.extend([Extension(receipt, 5_000)]) == [own.clock.now() + ms(5_000)]
    own.shift(4_999)
    assert await own.service.claim("orders") == []
    own.shift(1)
    assert len(await own.service.claim("orders")) == 1


async def test_a_visibility_of_nothing_releases_the_message_whatever_the_backoff(own: Node):
    await own.create("orders", backoff=Backoff(kind=BackoffKind.FIXED, base_ms=60_000))
    await own.enqueue()
    receipt = (await own.claim_one()).receipt
    assert await own.service.extend([Extension(receipt, 0)]) == [own.clock.now()]
    assert (await own.depth()).ready == 1
    assert own.observer.requeued_count == 1
    assert (await own.claim_one()).message.delivery_count == 2


async def test_extensions_of_every_kind_are_answered_in_order(own: Node):
    receipts = []
    for queue in ("a", "b", "a", "b"):
        await own.enqueue(queue=queue)
        receipts.append((await own.claim_one(queue)).receipt)
    one, two, three, four = receipts
    await own.service.ack([three])
    forged = replace(four, secret=bytes(SECRET_BYTES))
    asked = [(one, 1_000), (two, 0), (three, 0), (forged, 2_000), (three, 3_000), (four, 4_000)]
    answers = await own.service.extend([Extension(receipt, visibility_ms) for receipt, visibility_ms in asked])
    now = own.clock.now()
    gone = MessageNotFound
    assert kinds(answers) == [now + ms(1_000), now, gone, StaleReceipt, gone, now + ms(4_000)]
    assert await own.service.extend([]) == []


async def test_no_lease_lasts_over_twelve_hours_from_its_claim(own: Node):
    await own.enqueue()
    receipt = (await own.claim_one()).receipt
    own.shift(10_000)
    (refusal,) = await own.service.extend([Extension(receipt, VISIBILITY_MS_MAX - 9_999)])
    assert isinstance(refusal, InvalidValue)
    assert refusal.field == "visibility_ms"
    assert str(VISIBILITY_MS_MAX) in str(refusal)
    assert (await own.messages())[0].lease_until == own.clock.now() + ms(20_000)
    until = own.clock.now() + ms(VISIBILITY_MS_MAX - 10_000)
    assert await own.service.extend([Extension(receipt, VISIBILITY_MS_MAX - 10_000)]) == [until]


@pytest.mark.parametrize("visibility_ms", [-1, VISIBILITY_MS_MAX + 1])
async def test_an_extension_out_of_range_fails_alone(own: Node, visibility_ms: int):
    await own.enqueue(message(), message())
    one, other = await own.service.claim("orders")
    before = await own.messages()
    until = own.clock.now() + ms(90_000)
    refusal, granted = await own.service.extend(
        [Extension(other.receipt, visibility_ms), Extension(one.receipt, 90_000)]
    )
    assert granted == until
    assert isinstance(refusal, InvalidValue)
    assert str(refusal).startswith("visibility_ms must be 0 to 43200000; got ")
    extended, untouched = await own.messages()
    assert (extended.lease_until, untouched) == (until, before[1])


# Nack


async def test_a_nack_leaves_the_pause_to_the_policy_and_keeps_the_error(own: Node):
    await own.create("orders", backoff=Backoff(kind=BackoffKind.LINEAR, base_ms=3_000))
    await own.enqueue()
    for pause_ms, error, shown in ((3_000, "boom", "boom"), (6_000, None, "boom"), (9_000, "bang\n", "bang\n")):
        receipt = (await own.claim_one()).receipt
        assert await own.service.nack([Nack(receipt, Wish(error=error))]) == [None]
        (kept,) = await own.messages()
        assert (kept.not_before, kept.last_error) == (own.clock.now() + ms(pause_ms), shown)
        own.shift(pause_ms)
    assert own.observer.requeued_count == 3


@pytest.mark.parametrize("delay_ms", [0, 1, limits.DELAY_MS_MAX])
async def test_a_nack_may_ask_for_a_delay_of_its_own(own: Node, delay_ms: int):
    await own.create("orders", backoff=Backoff(kind=BackoffKind.FIXED, base_ms=3_000))
    await own.enqueue()
    receipt = (await own.claim_one()).receipt
    assert await own.service.nack([Nack(receipt, Wish(delay_ms=delay_ms))]) == [None]
    assert (await own.messages())[0].not_before == own.clock.now() + ms(delay_ms)


async def test_a_nack_of_the_last_delivery_dead_letters_with_the_error(own: Node):
    (message_id,) = await own.enqueue(message(max_retries=1, dlq="dead"))
    receipt = (await own.claim_one()).receipt
    assert await own.service.nack([Nack(receipt, Wish(delay_ms=60_000, error="boom"))]) == [None]
    moved = replace(receipt, partition_id=(await own.backend.catalog.find("dead")).partition_id)
    assert kinds(await own.service.ack([receipt, moved])) == [StaleReceipt] * 2
    dead = (await own.claim_one("dead")).message
    assert (dead.id, dead.last_error, dead.not_before) == (message_id, "boom", own.clock.now())
    assert (own.observer.dead_lettered_count, own.observer.requeued_count) == (1, 0)
    assert kinds(await own.service.nack([Nack(receipt)])) == [StaleReceipt]


async def test_a_nack_may_ask_for_the_dlq_with_deliveries_left(own: Node):
    rejected, other = await own.enqueue(message(dlq="dead"), message(dlq="dead"))
    receipts = {delivery.message.id: delivery.receipt for delivery in await own.service.claim("orders")}
    wish = Wish(delay_ms=60_000, error="no such article", dead_letter=True)
    assert await own.service.nack([Nack(receipts[rejected], wish), Nack(receipts[other])]) == [None, None]
    dead = (await own.claim_one("dead")).message
    assert (dead.id, dead.last_error, dead.origin_delivery_count) == (rejected, "no such article", 1)
    assert dead.not_before == own.clock.now()
    assert (await own.claim_one()).message.id == other
    assert (own.observer.dead_lettered_count, own.observer.requeued_count) == (1, 1)


async def test_a_message_without_a_dlq_cannot_be_dead_lettered_and_its_lease_stands(own: Node):
    await own.enqueue(message(), message())
    one, other = await own.service.claim("orders")
    before, _ = await own.messages()
    nacks = [Nack(one.receipt, Wish(error="hopeless", dead_letter=True)), Nack(other.receipt)]
    refusal, granted = await own.service.nack(nacks)
    assert granted is None
    assert isinstance(refusal, InvalidValue)
    assert str(refusal) == "dead_letter must be false for a message without a dlq; got true"
    assert (await own.messages())[0] == before
    assert await own.service.nack([Nack(one.receipt, Wish(error="hopeless"))]) == [None]


async def test_a_lease_that_was_given_up_cannot_be_given_up_again(own: Node):
    await own.enqueue()
    receipt = (await own.claim_one()).receipt
    assert await own.service.nack([Nack(receipt)]) == [None]
    assert kinds(await own.service.nack([Nack(receipt)])) == [StaleReceipt]
    assert own.observer.requeued_count == 1


async def test_nacks_over_several_queues_are_answered_in_order_and_each_has_its_own_wish(own: Node):
    receipts = []
    for queue in ("a", "b", "a"):
        await own.enqueue(queue=queue)
        receipts.append((await own.claim_one(queue)).receipt)
    gone = replace(receipts[0], message_id=999)
    nacks = [
        Nack(receipt, Wish(delay_ms=delay_ms)) for receipt, delay_ms in zip(receipts, (100, 200, 300), strict=True)
    ]
    assert kinds(await own.service.nack([nacks[2], Nack(gone), nacks[1], nacks[0]])) == [
        None,
        MessageNotFound,
        None,
        None,
    ]
    pauses = [(m.not_before - own.clock.now()) / ms(1) for queue in "ab" for m in await own.messages(queue)]
    assert pauses == [100, 300, 200]
    assert await own.service.nack([]) == []


async def test_the_wish_of_a_superseded_receipt_is_not_heard(own: Node):
    old, current = await superseded(own)
    nacks = [Nack(current, Wish(delay_ms=1_000, error="mine")), Nack(old, Wish(delay_ms=9_000, error="not mine"))]
    assert kinds(await own.service.nack(nacks)) == [None, StaleReceipt]
    (kept,) = await own.messages()
    assert (kept.not_before, kept.last_error) == (own.clock.now() + ms(1_000), "mine")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (Wish(delay_ms=-1), "delay_ms"),
        (Wish(delay_ms=limits.DELAY_MS_MAX + 1), "delay_ms"),
        (Wish(error="x" * 4_097), "error"),
        (Wish(error="\ud800"), "error"),
        (Wish(error="\0"), "error"),
    ],
)
async def test_a_wish_out_of_range_fails_alone(own: Node, wish: Wish, field: str):
    await own.enqueue(message(), message())
    one, other = await own.service.claim("orders")
    refusal, granted = await own.service.nack([Nack(one.receipt, wish), Nack(other.receipt)])
    assert granted is None
    assert isinstance(refusal, InvalidValue)
    assert refusal.field == field
    assert [kept.lease_until is None for kept in await own.messages()] == [False, True]
