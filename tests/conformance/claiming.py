"""Enqueue and claim: nothing lost, nothing handed out twice, oldest first, byte for byte."""

import asyncio
from datetime import UTC

import pytest

from sqslite.domain.limits import MESSAGE_ID_MAX, ms
from sqslite.domain.messages import BodyKind
from sqslite.domain.ports import RequeueAt
from tests.conformance.world import VISIBILITY_MS, World, message

BODIES = [
    b'{"b":1,"a":2,"b":3}',
    b'{ "spaced" :\t[1.0, 1e2, 1E+2, -0, 0.10]\r\n}',
    b'"\\u0000 \\ud83d\\ude00"',
    '"naïve ☃ 😀"'.encode(),
    b"0",
    b"false",
    b'""',
    b"[" * 50 + b"]" * 50,
    b"12345678901234567890123456789.000000000000000000001",
]


class Claiming:
    async def test_a_message_comes_back_as_it_was_sent(self, world: World):
        queue = await world.queue()
        sent = message(b'{"a":1}', max_retries=7, dlq="dead", trace_id="trace-1 é")
        (message_id,) = await world.enqueue(queue, sent)
        delivery = await world.claim_one(queue)
        got = delivery.message
        assert (got.id, got.body, got.body_kind) == (message_id, b'{"a":1}', BodyKind.JSON)
        assert (got.max_retries, got.dlq, got.trace_id) == (7, "dead", "trace-1 é")
        assert (got.enqueued_at, got.not_before) == (world.now, world.now)
        assert got.lease_until == world.now + ms(VISIBILITY_MS)
        assert (got.delivery_count, got.last_error, got.origin_queue) == (1, None, None)
        assert got.origin_delivery_count is None
        assert got.enqueued_at.utcoffset() == UTC.utcoffset(None)

    @pytest.mark.parametrize("body", BODIES)
    async def test_bodies_come_back_byte_for_byte(self, world: World, body: bytes):
        queue = await world.queue()
        await world.enqueue(queue, message(body))
        assert (await world.claim_one(queue)).message.body == body

    @pytest.mark.parametrize("kind", list(BodyKind))
    async def test_any_bytes_and_kind_come_back(self, world: World, kind: BodyKind):
        queue = await world.queue()
        body = bytes(range(256))
        await world.enqueue(queue, message(body, body_kind=kind))
        got = (await world.claim_one(queue)).message
        assert (got.body, got.body_kind) == (body, kind)

    async def test_a_body_of_a_mebibyte_comes_back(self, world: World):
        queue = await world.queue()
        body = b'"' + b"x" * (1024 * 1024 - 2) + b'"'
        await world.enqueue(queue, message(body))
        assert (await world.claim_one(queue)).message.body == body

    async def test_ids_grow_in_the_order_of_the_call_and_stay_exact_in_javascript(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, *[message() for _ in range(100)])
        more = await world.enqueue(queue)
        assert ids + more == sorted(set(ids + more))
        assert 0 < ids[0] <= more[0] <= MESSAGE_ID_MAX

    async def test_ids_are_unique_across_queues(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        assert not set(await world.enqueue(one)) & set(await world.enqueue(other))

    async def test_nothing_is_claimed_from_an_empty_queue(self, world: World):
        assert await world.claim(await world.queue()) == []

    async def test_a_batch_comes_out_in_the_order_it_went_in(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, *[message(b"%d" % n) for n in range(50)])
        claimed = [d.message.id for _ in range(5) for d in await world.claim(queue, 10)]
        assert claimed == ids

    async def test_the_oldest_available_comes_first(self, world: World):
        queue = await world.queue()
        (late,) = await world.enqueue(queue, message(delay_ms=5_000))
        world.advance(1_000)
        (early,) = await world.enqueue(queue)
        world.advance(10_000)
        (last,) = await world.enqueue(queue)
        assert [d.message.id for d in await world.claim(queue)] == [early, late, last]

    async def test_a_claim_takes_no_more_than_its_limit(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, *[message() for _ in range(5)])
        assert len(await world.claim(queue, 3)) == 3
        assert len(await world.claim(queue, 3)) == 2

    async def test_a_claim_of_a_thousand_gives_each_its_own_secret(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, *[message() for _ in range(1_000)])
        deliveries = await world.claim(queue, 1_000)
        assert len({d.message.id for d in deliveries}) == 1_000
        assert len({d.receipt.secret for d in deliveries}) == 1_000
        assert len({len(d.receipt.secret) for d in deliveries}) == 1

    async def test_a_receipt_names_its_delivery(self, world: World):
        queue = await world.queue()
        (message_id,) = await world.enqueue(queue)
        receipt = (await world.claim_one(queue)).receipt
        assert (receipt.partition_id, receipt.message_id, receipt.delivery_count) == (queue.partition_id, message_id, 1)

    async def test_a_delayed_message_is_not_claimable_before_its_time(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(delay_ms=5_000))
        world.advance(4_999)
        assert await world.claim(queue) == []
        world.advance(1)
        assert len(await world.claim(queue)) == 1

    async def test_a_leased_message_is_not_claimable(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        await world.claim_one(queue)
        assert await world.claim(queue) == []

    async def test_an_expired_lease_is_not_claimable_before_it_is_settled(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        await world.claim_one(queue, 1_000)
        world.advance(2_000)
        assert await world.claim(queue) == []
        await world.requeue_expired()
        assert (await world.claim_one(queue)).message.delivery_count == 2

    async def test_queues_do_not_see_each_others_messages(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        await world.enqueue(one)
        assert await world.claim(other) == []
        assert len(await world.claim(one)) == 1

    async def test_concurrent_claims_share_the_messages_out(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, *[message() for _ in range(60)])
        claims = await asyncio.gather(*[world.claim(queue, 10) for _ in range(10)])
        claimed = [d.message.id for claim in claims for d in claim]
        # A claim may come back short when another one's lock is in its way: looking again finds the rest.
        while more := await world.claim(queue, 10):
            claimed += [d.message.id for d in more]
        assert sorted(claimed) == ids

    async def test_concurrent_enqueues_all_arrive(self, world: World):
        queue = await world.queue()
        batches = await asyncio.gather(*[world.enqueue(queue, message(), message()) for _ in range(20)])
        ids = {message_id for batch in batches for message_id in batch}
        assert len(ids) == 40
        assert {d.message.id for d in await world.claim(queue, 100)} == ids

    async def test_an_older_message_that_turns_up_behind_the_claimed_ones_is_found(self, world: World):
        """What was released, or committed late, lies before the place where the last claim ended."""
        queue = await world.queue()
        await world.enqueue(queue, message(b"1"))
        held = await world.claim_one(queue, 1_000)
        for _ in range(3):
            world.advance(20_000)
            await world.enqueue(queue, message(b"2"))
            await world.claim_one(queue)
        expired = await world.store.expired(10)
        first = [lease for lease in expired.leases if lease.receipt.message_id == held.message.id]
        await world.store.settle(queue.partition_id, [RequeueAt(first[0], held.message.not_before)])
        assert [d.message.id for d in await world.claim(queue)] == [held.message.id]
