"""Sending messages and working on them."""

import asyncio
from datetime import timedelta

import pytest

from sqslite.domain.errors import (
    BodyTooLarge,
    InvalidReceipt,
    InvalidValue,
    MessageNotFound,
    StaleReceipt,
)
from sqslite.domain.leases import SECRET_BYTES, Nack, Receipt, Wish
from sqslite.domain.limits import BATCH_MAX, BODY_BYTES_MAX_DEFAULT, VISIBILITY_MS_MAX
from sqslite.domain.messages import Accepted, BodyKind
from sqslite.domain.ports import Extension
from sqslite.domain.queues import QueueSettings
from tests.conformance.asking.asked import Asked, message
from tests.conformance.claiming import BODIES

EVERYTHING = message(
    b'{"a": 1.50, "a": 1e2}',
    attributes={"priority": "high", "naïve": "çà"},
    max_retries=3,
    dlq="dead",
    trace_id="xyz",
    group_id="g",
    dedup_id="d",
    retention_ms=60_000,
)


class AskedMessaging:
    async def test_what_was_sent_comes_back_with_all_that_was_said_of_it(self, asked: Asked):
        (message_id,) = await asked.enqueue(EVERYTHING)
        (delivery,) = await asked.claim()
        got = delivery.message
        assert (got.id, got.body, got.body_kind) == (message_id, EVERYTHING.body, BodyKind.JSON)
        assert (got.attributes, got.max_retries, got.dlq) == (EVERYTHING.attributes, 3, "dead")
        assert (got.trace_id, got.group_id) == ("xyz", "g")
        assert (got.delivery_count, got.deliveries_before, got.fence) == (1, 0, 1)
        assert (got.last_error, got.origin_queue, got.origin_delivery_count) == (None, None, None)
        assert got.lease_until is not None
        assert got.lease_until - got.enqueued_at >= timedelta(minutes=1)
        assert delivery.receipt.message_id == message_id
        assert Receipt.parse(delivery.receipt.token()) == delivery.receipt

    @pytest.mark.parametrize("kind", list(BodyKind))
    async def test_a_body_of_any_kind_comes_back_byte_for_byte(self, asked: Asked, kind: BodyKind):
        await asked.enqueue(*(message(body, body_kind=kind) for body in BODIES))
        got = [one.message for one in await asked.claim(len(BODIES))]
        assert [(one.body, one.body_kind) for one in got] == [(body, kind) for body in BODIES]

    async def test_messages_come_in_order_and_up_to_the_limit(self, asked: Asked):
        ids = await asked.enqueue(*(message(b"%d" % n) for n in range(5)))
        assert [one.message.id for one in await asked.claim(3)] == ids[:3]
        assert [one.message.id for one in await asked.claim(3)] == ids[3:]
        assert await asked.claim(3) == []
        assert await asked.claim(3, queue="of-nobody") == []

    async def test_a_bad_message_fails_alone_and_says_why(self, asked: Asked):
        sent = [
            message(b"1"),
            message(b"not json"),
            message(b"null"),
            message(b"", body_kind=BodyKind.TEXT),
            message(b"\xff", body_kind=BodyKind.TEXT),
            message(delay_ms=-1),
            message(b'"' + b"x" * BODY_BYTES_MAX_DEFAULT + b'"'),
            message(b"2"),
        ]
        outcomes = await asked.messaging.enqueue(asked.queue(), sent)
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [Accepted, *[InvalidValue] * 5, BodyTooLarge, Accepted]
        assert [getattr(outcome, "field", None) for outcome in outcomes[1:6]] == ["body"] * 4 + ["delay"]
        assert str(outcomes[5]) == "delay must be 0 to 1209600000; got -1"
        assert [one.message.body for one in await asked.claim()] == [b"1", b"2"]

    async def test_text_that_is_no_unicode_fails_alone(self, asked: Asked):
        lone = "\ud800"
        sent = [message(b"1"), message(group_id=lone), message(dedup_id=lone), message(attributes={"a": lone})]
        outcomes = await asked.messaging.enqueue(asked.queue(), [*sent, message(b"2")])
        assert [type(outcome) for outcome in outcomes] == [Accepted, *[InvalidValue] * 3, Accepted]
        assert [one.message.body for one in await asked.claim()] == [b"1", b"2"]

    async def test_a_dedup_id_that_comes_again_is_answered_with_the_first_message(self, asked: Asked):
        first, again = await asked.messaging.enqueue(
            asked.queue(), [message(dedup_id="d"), message(b"2", dedup_id="d")]
        )
        assert isinstance(first, Accepted)
        assert (first.duplicate, again) == (False, Accepted(first.id, duplicate=True))
        assert len(await asked.claim()) == 1

    async def test_the_same_message_sent_twice_is_two_messages(self, asked: Asked):
        outcomes = await asked.messaging.enqueue(asked.queue(), [message(), message()])
        assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted]
        assert len(await asked.claim()) == 2

    async def test_more_messages_than_a_request_takes_are_all_sent_and_acked(self, asked: Asked):
        ids = await asked.enqueue(*(message(b"%d" % n) for n in range(BATCH_MAX + 2)))
        assert len(set(ids)) == BATCH_MAX + 2
        assert ids == sorted(ids)
        receipts = [one.receipt for _ in range(2) for one in await asked.claim(BATCH_MAX)]
        assert await asked.messaging.ack(receipts) == [None] * (BATCH_MAX + 2)

    async def test_nothing_is_asked_for_nothing(self, asked: Asked):
        assert await asked.messaging.enqueue(asked.queue(), []) == []
        assert await asked.messaging.ack([]) == []
        assert await asked.messaging.ack_unproven([]) == []
        assert await asked.messaging.nack([]) == []
        assert await asked.messaging.extend([]) == []
        await asked.messaging.release([])

    async def test_a_bad_name_of_a_queue_is_refused(self, asked: Asked):
        for name in ("", "a b", "a/b", "a%2Fb", "x" * 81, "é", "?"):
            with pytest.raises(InvalidValue, match=r"^queue must be 1 to 80 of "):
                await asked.messaging.enqueue(name, [message()])
            with pytest.raises(InvalidValue, match=r"^queue must be 1 to 80 of "):
                await asked.messaging.claim(name)

    async def test_a_claim_beyond_the_limits_is_refused(self, asked: Asked):
        for field, arguments in (
            ("max", {"limit": 0}),
            ("max", {"limit": 1_001}),
            ("visibility_ms", {"visibility_ms": -1}),
            ("wait_ms", {"wait_ms": 60_001}),
            ("attempt_id", {"attempt_id": ""}),
            ("attempt_id", {"attempt_id": "a\nb"}),
        ):
            with pytest.raises(InvalidValue, match=rf"^{field} must be ") as refused:
                await asked.messaging.claim(asked.queue(), **arguments)
            assert refused.value.field == field

    async def test_a_claim_that_waits_gets_what_comes_meanwhile(self, asked: Asked):
        waiting = asyncio.ensure_future(asked.messaging.claim(asked.queue(), 1, wait_ms=20_000))
        await asyncio.sleep(0.05)
        (message_id,) = await asked.enqueue()
        (delivery,) = await asyncio.wait_for(waiting, 5)
        assert delivery.message.id == message_id

    async def test_a_claim_tried_again_gets_the_same_deliveries(self, asked: Asked):
        await asked.enqueue(message(), message())
        first = await asked.messaging.claim(asked.queue(), 1, attempt_id="try")
        again = await asked.messaging.claim(asked.queue(), 1, attempt_id="try")
        assert [one.receipt for one in again] == [one.receipt for one in first]
        (other,) = await asked.messaging.claim(asked.queue(), 1)
        assert other.receipt.message_id != first[0].receipt.message_id

    @pytest.mark.parametrize("visibility_ms", [600_000, 30_000])
    async def test_a_claim_tried_again_holds_from_then_on(self, asked: Asked, visibility_ms: int):
        await asked.enqueue()
        (first,) = await asked.messaging.claim(asked.queue(), 1, 60_000, attempt_id="try")
        (again,) = await asked.messaging.claim(asked.queue(), 1, visibility_ms, attempt_id="try")
        assert first.message.lease_until is not None
        assert again.message.lease_until is not None
        longer = again.message.lease_until - first.message.lease_until
        assert abs(longer - timedelta(milliseconds=visibility_ms - 60_000)) < timedelta(seconds=10)

    async def test_an_ack_deletes_for_good_and_a_second_one_finds_nothing(self, asked: Asked):
        await asked.enqueue(message(), message())
        one, two = await asked.claim()
        assert await asked.messaging.ack([one.receipt]) == [None]
        refused, done = await asked.messaging.ack([one.receipt, two.receipt])
        assert isinstance(refused, MessageNotFound)
        assert str(refused).startswith(f"message {one.message.id} does not exist")
        assert done is None

    async def test_a_forged_receipt_changes_nothing(self, asked: Asked):
        await asked.enqueue()
        true = (await asked.claim_one()).receipt
        forged = Receipt(true.partition_id, true.message_id, true.delivery_count, b"\0" * SECRET_BYTES)
        for refused in (
            *await asked.messaging.ack([forged]),
            *await asked.messaging.nack([Nack(forged)]),
            *await asked.messaging.extend([Extension(forged, 1_000)]),
        ):
            assert isinstance(refused, StaleReceipt)
        assert not isinstance(refused, InvalidReceipt)
        assert await asked.messaging.ack([true]) == [None]

    async def test_an_ack_by_id_alone_deletes_whoever_holds_it(self, asked: Asked):
        ids = await asked.enqueue(message(), message())
        held = await asked.claim_one()
        gone = await asked.messaging.ack_unproven([held.message.id, 2**53 - 1, ids[1]])
        assert [type(one) for one in gone] == [type(None), MessageNotFound, type(None)]
        assert await asked.claim() == []

    async def test_a_nack_makes_the_message_available_again_with_its_error(self, asked: Asked):
        await asked.enqueue()
        held = await asked.claim_one()
        assert await asked.messaging.nack([Nack(held.receipt, Wish(delay_ms=0, error="card déclined"))]) == [None]
        again = await asked.claim_one()
        assert (again.message.delivery_count, again.message.last_error) == (2, "card déclined")
        (stale,) = await asked.messaging.nack([Nack(held.receipt)])
        assert isinstance(stale, StaleReceipt)

    async def test_of_two_nacks_with_one_receipt_in_one_call_the_first_counts(self, asked: Asked):
        await asked.enqueue()
        held = await asked.claim_one()
        first, second = (Nack(held.receipt, Wish(error=error)) for error in ("first", "second"))
        assert await asked.messaging.nack([first, second]) == [None, None]
        assert (await asked.claim_one()).message.last_error == "first"

    async def test_a_nack_may_ask_for_a_delay(self, asked: Asked):
        await asked.enqueue()
        held = await asked.claim_one()
        assert await asked.messaging.nack([Nack(held.receipt, Wish(delay_ms=200))]) == [None]
        assert await asked.claim() == []
        await asked.pass_time(250)
        assert len(await asked.claim()) == 1

    async def test_a_nack_may_dead_letter_at_once(self, asked: Asked):
        await asked.enqueue(message(dlq=asked.queue("dead"), max_retries=9))
        held = await asked.claim_one()
        assert await asked.messaging.nack([Nack(held.receipt, Wish(error="no", dead_letter=True))]) == [None]
        dead = (await asked.claim_one(queue="dead")).message
        assert (dead.origin_queue, dead.origin_delivery_count, dead.last_error) == (asked.queue(), 1, "no")
        assert (dead.delivery_count, dead.deliveries_before, dead.fence) == (1, 1, 2)

    async def test_bad_wishes_and_extensions_fail_alone(self, asked: Asked):
        await asked.enqueue(message(), message())
        one, two = await asked.claim()
        bad, good = await asked.messaging.nack([Nack(one.receipt, Wish(delay_ms=-1)), Nack(two.receipt)])
        assert isinstance(bad, InvalidValue)
        assert (bad.field, good) == ("delay_ms", None)
        refused, lease_until = await asked.messaging.extend(
            [Extension(one.receipt, VISIBILITY_MS_MAX + 1), Extension(one.receipt, 90_000)]
        )
        assert isinstance(refused, InvalidValue)
        assert refused.field == "visibility_ms"
        assert one.message.lease_until is not None
        assert not isinstance(lease_until, Exception)
        assert lease_until > one.message.lease_until

    async def test_an_error_that_is_no_unicode_fails_alone(self, asked: Asked):
        await asked.enqueue(message(), message())
        one, two = await asked.claim()
        bad, good = await asked.messaging.nack([Nack(one.receipt, Wish(error="\ud800")), Nack(two.receipt)])
        assert isinstance(bad, InvalidValue)
        assert (bad.field, good) == ("error", None)

    async def test_an_extension_of_nothing_releases_and_so_does_a_release(self, asked: Asked):
        await asked.enqueue()
        held = await asked.claim_one()
        (released,) = await asked.messaging.extend([Extension(held.receipt, 0)])
        assert not isinstance(released, Exception)
        again = await asked.claim_one()
        await asked.messaging.release([again])
        assert (await asked.claim_one()).message.delivery_count == 3

    async def test_a_lease_that_ends_is_over_and_its_receipt_superseded(self, asked: Asked):
        await asked.enqueue()
        late = await asked.claim_one(visibility_ms=100)
        await asked.pass_time(150)
        again = await asked.claim_one(wait_ms=5_000)
        assert (again.message.id, again.message.delivery_count) == (late.message.id, 2)
        (stale,) = await asked.messaging.ack([late.receipt])
        assert isinstance(stale, StaleReceipt)
        assert await asked.messaging.ack([again.receipt]) == [None]

    async def test_a_fifo_queue_keeps_the_order_of_a_group(self, asked: Asked):
        await asked.administration.put(asked.queue(), QueueSettings(fifo=True))
        (refused,) = await asked.messaging.enqueue(asked.queue(), [message()])
        assert isinstance(refused, InvalidValue)
        assert refused.field == "group_id"
        ids = await asked.enqueue(*(message(group_id="g") for _ in range(3)))
        (held,) = await asked.claim(1)
        assert await asked.claim() == []
        assert await asked.messaging.ack([held.receipt]) == [None]
        assert [one.message.id for one in await asked.claim()] == ids[1:]
