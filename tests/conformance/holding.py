"""Ack, extend and held: only the current receipt counts, and it counts until it is superseded."""

import asyncio
from datetime import timedelta

from msgspec.structs import replace

from sqslite.domain.leases import SECRET_BYTES, Acked, Lease, Refusal
from sqslite.domain.limits import VISIBILITY_MS_MAX, ms
from sqslite.domain.ports import Extension
from tests.conformance.world import VISIBILITY_MS, World, message


class Holding:
    async def test_an_acked_message_is_gone_for_good(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue)
        claimed_at = world.now
        world.advance(500)
        assert await world.ack(delivery.receipt) == [Acked(claimed_at, queue.partition_id)]
        world.advance(VISIBILITY_MS * 10)
        assert (await world.store.expired(10)).leases == []
        assert await world.claim(queue) == []
        assert await world.messages(queue) == []

    async def test_a_second_ack_finds_nothing(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue)
        await world.ack(delivery.receipt)
        assert await world.ack(delivery.receipt) == [Refusal.MISSING]

    async def test_a_batch_of_acks_answers_for_each_in_order(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(), message(), message())
        one, two, three = [d.receipt for d in await world.claim(queue)]
        await world.ack(two)
        forged = replace(three, secret=b"\0" * SECRET_BYTES)
        assert await world.ack(two, forged, one) == [
            Refusal.MISSING,
            Refusal.STALE,
            Acked(world.now, queue.partition_id),
        ]
        assert [m.id for m in await world.messages(queue)] == [three.message_id]

    async def test_a_receipt_given_twice_in_one_call_counts_twice(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        receipt = (await world.claim_one(queue)).receipt
        assert await world.ack(receipt, receipt) == [Acked(world.now, queue.partition_id)] * 2

    async def test_of_several_receipts_for_one_message_in_one_call_the_current_one_counts(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(), message(), message())
        one, two, three = [d.receipt for d in await world.claim(queue)]
        acked = Acked(world.now, queue.partition_id)
        forged = [replace(one, secret=bytes([n]) * SECRET_BYTES) for n in (0, 255)]
        empty = replace(two, secret=b"")
        stale = Refusal.STALE
        assert await world.ack(three, forged[0], one, forged[1], empty) == [acked, stale, acked, stale, stale]
        assert await world.ack(empty, replace(two, secret=one.secret), two) == [stale, stale, acked]

    async def test_a_forged_secret_acks_nothing(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(), message())
        one, two = await world.claim(queue)
        crossed = replace(one.receipt, secret=two.receipt.secret)
        assert await world.ack(crossed) == [Refusal.STALE]
        assert len(await world.messages(queue)) == 2

    async def test_a_message_never_claimed_has_no_secret_to_guess(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(), message())
        claimed = await world.claim_one(queue)
        (other,) = [m for m in await world.messages(queue) if m.id != claimed.message.id]
        for secret in (b"", b"\0" * SECRET_BYTES, claimed.receipt.secret):
            receipt = replace(claimed.receipt, message_id=other.id, delivery_count=0, secret=secret)
            assert await world.ack(receipt) == [Refusal.STALE]

    async def test_an_expired_receipt_still_acks(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue, 1_000)
        world.advance(5_000)
        assert await world.ack(delivery.receipt) == [Acked(world.now - ms(5_000), queue.partition_id)]

    async def test_a_requeued_but_not_reclaimed_receipt_still_acks(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue, 1_000)
        world.advance(5_000)
        await world.requeue_expired()
        assert await world.ack(delivery.receipt) == [Acked(world.now - ms(5_000), queue.partition_id)]
        assert await world.claim(queue) == []

    async def test_a_superseded_receipt_changes_nothing(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        old = await world.claim_one(queue, 1_000)
        world.advance(5_000)
        await world.requeue_expired()
        new = await world.claim_one(queue)
        before = await world.messages(queue)
        assert await world.ack(old.receipt) == [Refusal.STALE]
        assert await world.store.extend(queue.partition_id, [Extension(old.receipt, 60_000)]) == [Refusal.STALE]
        assert (await world.store.held(queue.partition_id, [old.receipt])).leases == [Refusal.STALE]
        assert await world.messages(queue) == before
        assert await world.ack(new.receipt) == [Acked(world.now, queue.partition_id)]

    async def test_a_superseded_receipt_beside_the_current_one_is_stale(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        old = await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.requeue_expired()
        new = await world.claim_one(queue)
        assert await world.ack(old.receipt, new.receipt) == [Refusal.STALE, Acked(world.now, queue.partition_id)]

    async def test_a_receipt_from_before_dead_lettering_is_stale(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        await world.enqueue(queue, message(dlq="dead"))
        delivery = await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.dead_letter_expired(dlq)
        assert await world.ack(delivery.receipt) == [Refusal.STALE]
        assert len(await world.messages(dlq)) == 1

    async def test_an_ack_without_proof_takes_any_state_of_any_queue(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        (ready,) = await world.enqueue(one)
        (delayed,) = await world.enqueue(one, message(delay_ms=60_000))
        (leased,) = await world.enqueue(other)
        await world.claim_one(other)
        missing = leased + 1_000
        outcomes = await world.store.ack_unproven([ready, missing, leased, delayed])
        assert outcomes == [
            Acked(None, one.partition_id),
            Refusal.MISSING,
            Acked(world.now, other.partition_id),
            Acked(None, one.partition_id),
        ]
        assert await world.messages(one) == await world.messages(other) == []

    async def test_concurrent_acks_of_one_receipt_succeed_once(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        receipt = (await world.claim_one(queue)).receipt
        outcomes = await asyncio.gather(*[world.ack(receipt) for _ in range(8)])
        assert [outcome for (outcome,) in outcomes].count(Acked(world.now, queue.partition_id)) == 1

    async def test_an_extended_lease_ends_later(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue, 10_000)
        world.advance(9_000)
        until = world.now + ms(10_000)
        assert await world.store.extend(queue.partition_id, [Extension(delivery.receipt, 10_000)]) == [until]
        world.advance(9_999)
        assert (await world.store.expired(10)).leases == []
        world.advance(1)
        assert [lease.lease_until for lease in (await world.store.expired(10)).leases] == [until]

    async def test_a_lease_may_be_shortened(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue, 10_000)
        await world.store.extend(queue.partition_id, [Extension(delivery.receipt, 100)])
        world.advance(100)
        assert len((await world.store.expired(10)).leases) == 1

    async def test_extending_a_batch_answers_for_each_in_order(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(), message(), message())
        one, two, three = [d.receipt for d in await world.claim(queue)]
        await world.ack(one)
        forged = replace(two, secret=b"\1" * SECRET_BYTES)
        extensions = [Extension(one, 1_000), Extension(three, 2_000), Extension(forged, 3_000)]
        outcomes = await world.store.extend(queue.partition_id, extensions)
        assert outcomes == [Refusal.MISSING, world.now + ms(2_000), Refusal.STALE]

    async def test_a_lease_lasts_twelve_hours_at_most(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue, VISIBILITY_MS_MAX)
        world.advance(VISIBILITY_MS_MAX - 5_000)
        too_long, just = Extension(delivery.receipt, 5_001), Extension(delivery.receipt, 5_000)
        assert await world.store.extend(queue.partition_id, [too_long]) == [Refusal.TOO_LONG]
        assert await world.store.extend(queue.partition_id, [just]) == [world.now + timedelta(seconds=5)]

    async def test_work_that_goes_on_after_the_requeue_can_lease_again(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue, 1_000)
        world.advance(2_000)
        await world.requeue_expired()
        until = world.now + ms(1_000)
        assert await world.store.extend(queue.partition_id, [Extension(delivery.receipt, 1_000)]) == [until]
        assert await world.claim(queue) == []

    async def test_a_held_lease_tells_what_a_decision_needs(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(dlq="dead", max_retries=3))
        delivery = await world.claim_one(queue, 1_000)
        held = await world.store.held(queue.partition_id, [delivery.receipt])
        lease = Lease(
            queue="orders",
            receipt=delivery.receipt,
            lease_until=world.now + ms(1_000),
            delivery_count=1,
            max_retries=3,
            dlq="dead",
        )
        assert (held.now, held.leases) == (world.now, [lease])

    async def test_held_answers_for_each_in_order(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(), message())
        one, two = [d.receipt for d in await world.claim(queue)]
        await world.ack(one)
        leases = (await world.store.held(queue.partition_id, [one, two])).leases
        assert leases[0] is Refusal.MISSING
        assert isinstance(leases[1], Lease)
        assert leases[1].receipt == two

    async def test_nothing_asked_is_nothing_done(self, world: World):
        queue = await world.queue()
        assert await world.store.enqueue(queue, []) == []
        assert await world.store.ack(queue.partition_id, []) == []
        assert await world.store.ack_unproven([]) == []
        assert await world.store.extend(queue.partition_id, []) == []
        assert await world.store.settle(queue.partition_id, []) == []
        assert (await world.store.held(queue.partition_id, [])).leases == []
