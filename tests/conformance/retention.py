"""Retention: what is past it is not delivered, and deleted in pages."""

from datetime import datetime
from typing import Any

import pytest

from sqslite.domain.limits import RETENTION_CHANGE_MS, RETENTION_FOREVER, RETENTION_MS_DEFAULT, ms
from sqslite.domain.ports import Delete, MoveToDlq
from sqslite.domain.queues import Queue, QueueSettings
from tests.conformance.world import World, message

KEPT_MS = 60_000


async def changed(world: World, name: str, **settings: Any) -> Queue:
    queue, _ = await world.catalog.put(name, QueueSettings(**settings))
    return queue


async def retained(world: World, limit: int = 100) -> int:
    """Go through all that is to be gone through; in how many steps."""
    for steps in range(100):
        if not await world.store.retain(limit):
            return steps
    raise AssertionError("it goes on for ever")


async def ends(world: World, queue: Queue) -> dict[int, datetime | None]:
    return {message.id: message.expires_at for message in await world.messages(queue)}


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

    @pytest.mark.parametrize("settings", [{}, {"fair": True}, {"fifo": True}])
    @pytest.mark.parametrize("now_ms", [KEPT_MS // 2, 2 * KEPT_MS, RETENTION_FOREVER])
    async def test_a_changed_retention_reaches_messages_in_whatever_state(self, world: World, settings, now_ms: int):
        queue = await world.queue_with(retention_ms=KEPT_MS, **settings)
        for group, delay_ms in (("a", 0), ("b", 0), ("c", KEPT_MS)):
            sent = message(retention_ms=KEPT_MS, group_id=group, delay_ms=delay_ms)
            await world.enqueue(queue, sent)
        await world.claim_one(queue)
        end = world.now + ms(now_ms) if now_ms else None
        await changed(world, "orders", retention_ms=now_ms, **settings)
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        assert list((await ends(world, queue)).values()) == [end] * 3

    async def test_a_change_begins_when_no_node_knows_the_retention_before(self, world: World):
        queue = await world.queue_with(retention_ms=KEPT_MS)
        await world.enqueue(queue, message(retention_ms=KEPT_MS))
        before = await ends(world, queue)
        await changed(world, "orders", retention_ms=2 * KEPT_MS)
        world.advance(RETENTION_CHANGE_MS - 1)
        assert await retained(world) == 0
        assert await ends(world, queue) == before
        world.advance(1)
        assert await retained(world) >= 1
        assert await ends(world, queue) != before

    async def test_messages_with_a_retention_of_their_own_and_of_other_queues_are_left(self, world: World):
        queue, other = await world.queue_with(retention_ms=KEPT_MS), await world.queue_with("other")
        own = [message(retention_ms=KEPT_MS + 1), message(retention_ms=RETENTION_FOREVER)]
        await world.enqueue(queue, *own)
        await world.enqueue(other, message(retention_ms=KEPT_MS))
        before = await ends(world, queue), await ends(world, other)
        await changed(world, "orders", retention_ms=1)
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        assert (await ends(world, queue), await ends(world, other)) == before

    async def test_what_a_shorter_retention_has_overtaken_is_over(self, world: World):
        queue = await world.queue_with(retention_ms=10 * KEPT_MS)
        kept = message(retention_ms=10 * KEPT_MS)
        await world.enqueue(queue, kept)
        world.advance(KEPT_MS)
        (later,) = await world.enqueue(queue, kept)
        await changed(world, "orders", retention_ms=KEPT_MS)
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        assert await world.store.expire(10) == 1
        assert [d.message.id for d in await world.claim(queue)] == [later]

    async def test_a_longer_retention_saves_what_the_one_before_would_have_ended(self, world: World):
        queue = await world.queue_with(fifo=True, retention_ms=KEPT_MS)
        await world.enqueue(queue, message(retention_ms=KEPT_MS, group_id="g"))
        await changed(world, "orders", fifo=True, retention_ms=2 * KEPT_MS)
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        world.advance(KEPT_MS)
        assert await world.store.expire(10) == 0
        assert len(await world.claim(queue)) == 1

    async def test_a_message_that_blocks_its_group_does_so_until_its_retention_ends_as_changed(self, world: World):
        queue = await world.queue_with(fifo=True, retention_ms=10 * KEPT_MS)
        kept = message(retention_ms=10 * KEPT_MS, group_id="g")
        _, second = await world.enqueue(queue, kept, message(retention_ms=RETENTION_FOREVER, group_id="g"))
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=5 * KEPT_MS)
        await changed(world, "orders", fifo=True, retention_ms=KEPT_MS)
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        assert await world.claim(queue) == []
        world.advance(KEPT_MS)
        await world.store.expire(10)
        assert [d.message.id for d in await world.claim(queue)] == [second]

    async def test_it_goes_on_in_steps_of_its_limit_where_the_last_one_ended(self, world: World):
        queue = await world.queue_with(retention_ms=KEPT_MS)
        await world.enqueue(queue, *[message(retention_ms=KEPT_MS) for _ in range(7)])
        end = world.now + ms(2 * KEPT_MS)
        await changed(world, "orders", retention_ms=2 * KEPT_MS)
        world.advance(RETENTION_CHANGE_MS)
        done = []
        for _ in range(3):
            assert await world.store.retain(3)
            done.append(sum(at == end for at in (await ends(world, queue)).values()))
        assert done == [3, 6, 7]

    async def test_a_retention_that_changes_while_it_goes_on_reaches_all_the_same(self, world: World):
        queue = await world.queue_with(retention_ms=KEPT_MS)
        await world.enqueue(queue, *[message(retention_ms=KEPT_MS) for _ in range(5)])
        ends_at = {wanted: world.now + ms(wanted * KEPT_MS) for wanted in (1, 2, 3)}
        await changed(world, "orders", retention_ms=2 * KEPT_MS)
        world.advance(RETENTION_CHANGE_MS)
        assert await world.store.retain(2)
        await changed(world, "orders", retention_ms=3 * KEPT_MS)
        world.advance(RETENTION_CHANGE_MS)
        await retained(world, limit=2)
        assert set((await ends(world, queue)).values()) == {ends_at[3]}
        for wanted in (2, 1):
            await changed(world, "orders", retention_ms=wanted * KEPT_MS)
        world.advance(RETENTION_CHANGE_MS)
        await retained(world, limit=2)
        assert set((await ends(world, queue)).values()) == {ends_at[1]}

    async def test_a_queue_without_a_retention_of_its_own_has_the_default(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(retention_ms=RETENTION_MS_DEFAULT))
        sent_at = world.now
        await world.catalog.change("orders", lambda _: QueueSettings(retention_ms=KEPT_MS))
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        assert list((await ends(world, queue)).values()) == [sent_at + ms(KEPT_MS)]
        await changed(world, "orders")
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        assert list((await ends(world, queue)).values()) == [sent_at + ms(RETENTION_MS_DEFAULT)]

    async def test_dead_letters_follow_their_queue_where_they_count_from_their_enqueue(self, world: World):
        queue, dlq = await world.queue(), await world.queue_with("dead", retention_ms=KEPT_MS)
        await world.enqueue(queue)
        sent_at = world.now
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        (lease,) = (await world.store.expired(10)).leases
        await world.store.settle(queue.partition_id, [MoveToDlq(lease, dlq, world.now, KEPT_MS)])
        await changed(world, "dead", retention_ms=2 * KEPT_MS)
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        assert list((await ends(world, dlq)).values()) == [sent_at + ms(2 * KEPT_MS)]

    @pytest.mark.parametrize("gone", ["purged", "deleted"])
    async def test_nothing_is_left_to_do_for_a_queue_whose_messages_are_gone(self, world: World, gone: str):
        queue = await world.queue_with(retention_ms=KEPT_MS)
        await world.enqueue(queue, message(retention_ms=KEPT_MS))
        await changed(world, "orders", retention_ms=2 * KEPT_MS)
        await (world.catalog.renew("orders") if gone == "purged" else world.catalog.drop("orders"))
        world.advance(RETENTION_CHANGE_MS)
        await retained(world)
        assert await retained(world) == 0

    async def test_settings_that_leave_the_retention_as_it_is_are_no_change(self, world: World):
        await world.queue()
        await changed(world, "orders", visibility_ms=1_000)
        await changed(world, "orders", retention_ms=RETENTION_MS_DEFAULT)
        world.advance(RETENTION_CHANGE_MS)
        assert await retained(world) == 0
