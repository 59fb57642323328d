"""Expired, settle and next_due: leases that end are settled once, by whoever comes first."""

import asyncio
from datetime import datetime

from msgspec.structs import replace

from sqslite.domain.leases import Acked, Lease
from sqslite.domain.limits import RETENTION_FOREVER, ms
from sqslite.domain.ports import Extension, MoveToDlq, RequeueAt
from sqslite.domain.queues import QueueSettings
from tests.conformance.world import World, message


class Settling:
    async def test_expired_shows_leases_that_ended_the_longest_ended_first(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, *[message() for _ in range(3)])
        later, sooner, never = [await world.claim_one(queue, v) for v in (3_000, 2_000, 90_000)]
        world.advance(3_000)
        expired = await world.store.expired(10)
        assert expired.now == world.now
        assert [lease.receipt for lease in expired.leases] == [sooner.receipt, later.receipt]
        assert never.receipt not in [lease.receipt for lease in expired.leases]

    async def test_an_expired_lease_tells_what_a_decision_needs(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(dlq="dead", max_retries=3))
        delivery = await world.claim_one(queue, 1_000)
        until = world.now + ms(1_000)
        world.advance(1_500)
        (lease,) = (await world.store.expired(10)).leases
        assert lease == Lease(
            queue="orders", receipt=delivery.receipt, lease_until=until, delivery_count=1, max_retries=3, dlq="dead"
        )

    async def test_a_lease_tells_what_its_message_said_not_what_its_queue_says(self, world: World):
        queue = await world.queue_with(max_retries=3, dlq="dead")
        await world.enqueue(queue, message(dlq=None, max_retries=0))
        delivery = await world.claim_one(queue, 1_000)
        assert (delivery.message.max_retries, delivery.message.dlq) == (0, None)
        held = await world.store.held(queue.partition_id, [delivery.receipt])
        world.advance(1_000)
        (ended,) = (await world.store.expired(10)).leases
        assert held.leases == [ended]
        assert (ended.max_retries, ended.dlq) == (0, None)
        dead = await world.queue("dead")
        assert await world.dead_letter_expired(dead) == [True]
        (moved,) = await world.messages(dead)
        assert (moved.max_retries, moved.dlq) == (0, None)

    async def test_a_message_tells_when_it_was_first_claimed_as_a_dead_letter_too(self, world: World):
        for settings in (QueueSettings(), QueueSettings(fifo=True), QueueSettings(fair=True)):
            queue = await world.queue(f"{settings.discipline}", settings)
            dead = await world.queue(f"{settings.discipline}.dead", settings)
            (message_id,) = await world.enqueue(queue, message(group_id="g"))
            assert [m.first_claimed_at for m in await world.messages(queue)] == [None]
            world.advance(1)
            first_at = world.now
            for _ in range(3):
                assert (await world.claim_one(queue, 1_000)).message.first_claimed_at == first_at
                assert [m.first_claimed_at for m in await world.messages(queue)] == [first_at]
                world.advance(1_000)
                assert await world.requeue_expired() == [True]
                assert (await world.store_sight(message_id)).message.first_claimed_at == first_at
            await world.claim_one(queue, 1_000)
            world.advance(1_000)
            await world.dead_letter_expired(dead)
            assert [m.first_claimed_at for m in await world.messages(dead)] == [first_at]
            world.advance(1)
            delivery = await world.claim_one(dead)
            assert delivery.message.first_claimed_at == first_at
            await world.ack(delivery.receipt)

    async def test_a_dead_letter_of_the_first_delivery_tells_when_that_was(self, world: World):
        queue, dead = await world.queue(), await world.queue("dead")
        await world.enqueue(queue)
        first_at = world.now
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.dead_letter_expired(dead)
        assert [m.first_claimed_at for m in await world.messages(dead)] == [first_at]

    async def test_a_dead_letter_keeps_the_dlq_that_it_named_where_it_goes_there(self, world: World):
        queue, dead, deader = await world.queue(), await world.queue("dead"), await world.queue("deader")
        await world.enqueue(queue, message(dlq="dead"), message(dlq="elsewhere"), message())
        for source, dlq, kept in ((queue, dead, ["dead", None, None]), (dead, deader, [None, None, None])):
            await world.claim(source, visibility_ms=1_000)
            world.advance(1_000)
            assert await world.dead_letter_expired(dlq) == [True] * 3
            assert [m.dlq for m in await world.messages(dlq)] == kept

    async def test_expired_reads_one_partition_or_all_and_no_more_than_its_limit(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        for queue in (one, other):
            await world.enqueue(queue, message(), message())
            await world.claim(queue, 2, 1_000)
        world.advance(1_000)
        assert len((await world.store.expired(10)).leases) == 4
        assert len((await world.store.expired(3)).leases) == 3
        of_other = (await world.store.expired(10, other.partition_id)).leases
        assert {lease.queue for lease in of_other} == {"other"}
        assert len(of_other) == 2
        assert len((await world.store.expired(1, one.partition_id)).leases) == 1

    async def test_a_requeued_message_is_ready_again_with_its_deliveries_counted(self, world: World):
        queue = await world.queue()
        (message_id,) = await world.enqueue(queue)
        first = await world.claim_one(queue, 1_000)
        world.advance(1_000)
        assert await world.requeue_expired() == [True]
        assert (await world.store.expired(10)).leases == []
        second = await world.claim_one(queue)
        assert (second.message.id, second.message.delivery_count) == (message_id, 2)
        assert second.message.enqueued_at == first.message.enqueued_at
        assert second.receipt != first.receipt

    async def test_a_requeue_may_be_later(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=5_000)
        world.advance(4_999)
        assert await world.claim(queue) == []
        world.advance(1)
        assert len(await world.claim(queue)) == 1

    async def test_a_requeued_message_goes_behind_those_that_waited(self, world: World):
        queue = await world.queue()
        (first, second) = await world.enqueue(queue, message(), message())
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.requeue_expired()
        assert [d.message.id for d in await world.claim(queue)] == [second, first]

    async def test_the_error_of_a_settlement_is_kept_until_the_next_one(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        for error, shown in (("boom é", "boom é"), (None, "boom é"), ("bang", "bang")):
            await world.claim_one(queue, 1_000)
            world.advance(1_000)
            await world.requeue_expired(error=error)
            assert [m.last_error for m in await world.messages(queue)] == [shown]

    async def test_a_dead_letter_keeps_what_it_was_and_says_whence_it_came(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        (message_id,) = await world.enqueue(queue, message(b"[1]", dlq="dead", max_retries=2, trace_id="t"))
        enqueued_at = world.now
        for _ in range(2):
            world.advance(1_000)
            await world.requeue_expired()
            await world.claim_one(queue, 1_000)
        world.advance(1_000)
        assert await world.dead_letter_expired(dlq, "boom") == [True]
        assert await world.messages(queue) == []
        dead = (await world.claim_one(dlq)).message
        assert (dead.id, dead.body, dead.max_retries, dead.trace_id) == (message_id, b"[1]", 2, "t")
        assert (dead.enqueued_at, dead.not_before) == (enqueued_at, world.now)
        assert (dead.delivery_count, dead.dlq) == (1, "dead")
        assert (dead.origin_queue, dead.origin_delivery_count, dead.last_error) == ("orders", 2, "boom")

    async def test_a_dead_letter_can_be_acked_and_found_by_its_id(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        (one, two) = await world.enqueue(queue, message(dlq="dead"), message(dlq="dead"))
        await world.claim(queue, 2, 1_000)
        world.advance(1_000)
        await world.dead_letter_expired(dlq)
        assert await world.store.ack_unproven([one]) == [Acked(None, dlq.partition_id)]
        delivery = await world.claim_one(dlq)
        assert delivery.message.id == two
        assert await world.ack(delivery.receipt) == [Acked(world.now, dlq.partition_id)]

    async def test_a_settlement_of_a_lease_that_was_extended_changes_nothing(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue, 1_000)
        world.advance(1_000)
        (lease,) = (await world.store.expired(10)).leases
        await world.store.extend(queue.partition_id, [Extension(delivery.receipt, 1_000)])
        before = await world.messages(queue)
        assert await world.store.settle(queue.partition_id, [RequeueAt(lease, world.now)]) == [False]
        assert await world.messages(queue) == before

    async def test_of_several_leases_of_one_message_in_one_call_the_current_one_is_settled(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(), message())
        delivery, other = await world.claim(queue, 2, 1_000)
        world.advance(1_000)
        leases = {lease.receipt: lease for lease in (await world.store.expired(10)).leases}
        old, beside = leases[delivery.receipt], leases[other.receipt]
        (lease_until,) = await world.store.extend(queue.partition_id, [Extension(delivery.receipt, 1_000)])
        assert isinstance(lease_until, datetime)
        current = replace(old, lease_until=lease_until)
        settlements = [RequeueAt(beside, world.now)]
        settlements += [RequeueAt(lease, world.now + ms(5_000)) for lease in (old, current, old)]
        assert await world.store.settle(queue.partition_id, settlements) == [True, False, True, False]
        assert [message.not_before for message in await world.messages(queue)] == [world.now + ms(5_000), world.now]

    async def test_a_settlement_of_a_lease_that_was_acked_or_settled_changes_nothing(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        await world.enqueue(queue, message(), message())
        acked, _ = await world.claim(queue, 2, 1_000)
        world.advance(1_000)
        expired = await world.store.expired(10)
        await world.ack(acked.receipt)
        requeues = [RequeueAt(lease, world.now) for lease in expired.leases]
        assert await world.store.settle(queue.partition_id, requeues) == [False, True]
        moves = [MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER) for lease in expired.leases]
        assert await world.store.settle(queue.partition_id, moves) == [False, False]
        assert await world.messages(dlq) == []

    async def test_a_settlement_of_a_superseded_lease_changes_nothing(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        await world.enqueue(queue)
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        (old,) = (await world.store.expired(10)).leases
        await world.requeue_expired()
        new = await world.claim_one(queue, 1_000)
        forged = replace(old, lease_until=new.message.lease_until)
        settlements = [RequeueAt(old, world.now), RequeueAt(forged, world.now)]
        assert await world.store.settle(queue.partition_id, settlements) == [False, False]
        moves = [
            MoveToDlq(old, dlq, world.now, RETENTION_FOREVER),
            MoveToDlq(forged, dlq, world.now, RETENTION_FOREVER),
        ]
        assert await world.store.settle(queue.partition_id, moves) == [False, False]
        assert await world.ack(new.receipt) == [Acked(new.message.lease_until - ms(1_000), queue.partition_id)]

    async def test_one_call_settles_many_each_its_own_way(self, world: World):
        queue, dead, graveyard = [await world.queue(name) for name in ("orders", "dead", "graveyard")]
        await world.enqueue(queue, *[message(b"%d" % n) for n in range(4)])
        await world.claim(queue, 4, 1_000)
        world.advance(1_000)
        leases = (await world.store.expired(10)).leases
        leases.sort(key=lambda lease: lease.receipt.message_id)
        settlements = [
            MoveToDlq(leases[0], dead, world.now, RETENTION_FOREVER, "a"),
            RequeueAt(leases[1], world.now, "b"),
            MoveToDlq(leases[2], graveyard, world.now, RETENTION_FOREVER),
            RequeueAt(leases[3], world.now + ms(1_000)),
        ]
        assert await world.store.settle(queue.partition_id, settlements) == [True] * 4
        assert [m.body for m in await world.messages(dead)] == [b"0"]
        assert [m.body for m in await world.messages(graveyard)] == [b"2"]
        assert [(m.body, m.last_error) for m in await world.messages(queue)] == [(b"1", "b"), (b"3", None)]
        assert [d.message.body for d in await world.claim(queue)] == [b"1"]

    async def test_racing_sweepers_settle_each_lease_once(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        ids = await world.enqueue(queue, *[message(dlq="dead") for _ in range(20)])
        await world.claim(queue, 20, 1_000)
        world.advance(1_000)
        expired = await world.store.expired(100)
        moves = [MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER) for lease in expired.leases]
        outcomes = await asyncio.gather(*[world.store.settle(queue.partition_id, moves) for _ in range(6)])
        assert sum(sum(outcome) for outcome in outcomes) == 20
        assert [m.id for m in await world.messages(dlq)] == ids

    async def test_next_due_is_the_earliest_end_of_any_lease(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        due = await world.store.next_due()
        assert (due.now, due.at) == (world.now, None)
        for queue, visibility_ms in ((one, 5_000), (other, 3_000)):
            await world.enqueue(queue)
            await world.claim_one(queue, visibility_ms)
        assert (await world.store.next_due()).at == world.now + ms(3_000)
        world.advance(4_000)
        due = await world.store.next_due()
        assert (due.now, due.at) == (world.now, world.now - ms(1_000))
        await world.requeue_expired()
        assert (await world.store.next_due()).at == world.now + ms(1_000)
