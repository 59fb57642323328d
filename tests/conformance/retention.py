"""Retention: what is past it is not delivered, and deleted in pages."""

import pytest

from sqslite.domain.limits import RETENTION_FOREVER, ms
from sqslite.domain.ports import Delete, MoveToDlq
from tests.conformance.world import World, message

KEPT_MS = 60_000


class Retention:
    async def test_a_message_says_until_when_it_is_kept(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(retention_ms=KEPT_MS), message(retention_ms=RETENTION_FOREVER))
        assert [m.expires_at for m in await world.messages(queue)] == [world.now + ms(KEPT_MS), None]
        assert [d.message.expires_at for d in await world.claim(queue)] == [world.now + ms(KEPT_MS), None]

    @pytest.mark.parametrize("settings", [{}, {"fair": True}, {"fifo": True}])
    async def test_what_is_past_its_retention_is_not_claimable_even_before_it_is_deleted(self, world: World, settings):
        queue = await world.queue_with(**settings)
        short = message(retention_ms=KEPT_MS, group_id="g")
        _, kept = await world.enqueue(queue, short, message(retention_ms=KEPT_MS + 1, group_id="g"))
        world.advance(KEPT_MS)
        assert [d.message.id for d in await world.claim(queue)] == [kept]

    async def test_expire_deletes_no_more_than_its_limit_and_counts(self, world: World):
        queue, other = await world.queue(), await world.queue("other")
        await world.enqueue(queue, *[message(retention_ms=KEPT_MS) for _ in range(3)], message())
        await world.enqueue(other, message(retention_ms=KEPT_MS, delay_ms=2 * KEPT_MS))
        assert await world.store.expire(10) == 0
        world.advance(KEPT_MS)
        assert [await world.store.expire(3), await world.store.expire(3), await world.store.expire(3)] == [3, 1, 0]
        assert len(await world.messages(queue)) == 1
        assert await world.messages(other) == []

    async def test_expire_leaves_leased_messages_to_their_settlement(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(retention_ms=KEPT_MS))
        await world.claim_one(queue, 2 * KEPT_MS)
        world.advance(KEPT_MS)
        assert await world.store.expire(10) == 0
        world.advance(KEPT_MS)
        (lease,) = (await world.store.expired(10)).leases
        assert lease.expires_at == world.now - ms(KEPT_MS)
        assert await world.store.settle(queue.partition_id, [Delete(lease)]) == [True]
        assert await world.messages(queue) == []

    async def test_a_held_lease_says_when_the_retention_ends(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(retention_ms=KEPT_MS))
        delivery = await world.claim_one(queue)
        (lease,) = (await world.store.held(queue.partition_id, [delivery.receipt])).leases
        assert lease.expires_at == world.now + ms(KEPT_MS)

    async def test_a_delete_of_a_lease_that_has_changed_changes_nothing(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        (lease,) = (await world.store.expired(10)).leases
        await world.requeue_expired()
        assert await world.store.settle(queue.partition_id, [Delete(lease)]) == [False]
        assert len(await world.messages(queue)) == 1

    async def test_a_requeued_message_that_is_past_its_retention_is_deleted(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(retention_ms=KEPT_MS))
        await world.claim_one(queue, KEPT_MS)
        world.advance(KEPT_MS)
        await world.requeue_expired()
        assert await world.claim(queue) == []
        assert await world.store.expire(10) == 1

    @pytest.mark.parametrize("retention_ms", [3 * KEPT_MS, RETENTION_FOREVER])
    @pytest.mark.parametrize("fifo", [False, True])
    async def test_dead_letters_are_kept_from_their_first_enqueue_in_fifo_queues_from_the_move(
        self, world: World, retention_ms: int, fifo: bool
    ):
        queue, dlq = await world.queue_with("orders", fifo=fifo), await world.queue_with("dead", fifo=fifo)
        await world.enqueue(queue, message(retention_ms=2 * KEPT_MS))
        enqueued_at = world.now
        await world.claim_one(queue, KEPT_MS)
        world.advance(KEPT_MS)
        (lease,) = (await world.store.expired(10)).leases
        moved = MoveToDlq(lease, dlq, world.now, retention_ms)
        assert await world.store.settle(queue.partition_id, [moved]) == [True]
        (dead,) = await world.messages(dlq)
        assert dead.enqueued_at == enqueued_at
        kept_since = world.now if fifo else enqueued_at
        assert dead.expires_at == (kept_since + ms(retention_ms) if retention_ms else None)
