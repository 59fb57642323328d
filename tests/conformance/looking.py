"""Peeks, counts, totals and sightings: they show what there is and change nothing."""

import pytest
from msgspec.structs import replace

from sqslite.domain.lifecycle import State
from sqslite.domain.limits import DEPTH_EXACT_MAX, ms
from sqslite.domain.messages import Message
from sqslite.domain.ports import Blocker, Position, RequeueAt, Totals
from sqslite.domain.queues import Queue
from tests.conformance.world import World, message


class Looking:
    async def test_a_queue_is_claimable_once_the_time_of_a_message_has_come(self, world: World):
        queue = await world.queue()
        await world.queue("empty")
        asked = ["orders", "empty", "unknown"]
        assert await world.store.claimable(asked) == []
        await world.enqueue(queue, message(delay_ms=1_000))
        world.advance(999)
        assert await world.store.claimable(asked) == []
        world.advance(1)
        assert await world.store.claimable(asked) == ["orders"]
        assert await world.store.claimable(["empty"]) == []
        assert await world.store.claimable([]) == []
        await world.claim(queue)
        assert await world.store.claimable(asked) == []

    async def test_a_queue_is_claimable_once_a_lease_has_ended(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        delivery = await world.claim_one(queue, 1_000)
        world.advance(999)
        assert await world.store.claimable(["orders"]) == []
        world.advance(1)
        assert await world.store.claimable(["orders"]) == ["orders"]
        await world.ack(delivery.receipt)
        assert await world.store.claimable(["orders"]) == []

    async def test_a_queue_is_not_claimable_while_it_is_paused(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(), message())
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.catalog.pause("orders", True)
        assert await world.store.claimable(["orders"]) == []
        await world.catalog.pause("orders", False)
        assert await world.store.claimable(["orders"]) == ["orders"]

    async def test_a_queue_is_not_claimable_for_what_is_kept_no_longer_or_was_purged(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(retention_ms=1_000))
        assert await world.store.claimable(["orders"]) == ["orders"]
        world.advance(1_000)
        assert await world.store.claimable(["orders"]) == []
        await world.enqueue(queue)
        await world.catalog.renew("orders")
        assert await world.store.claimable(["orders"]) == []

    @pytest.mark.parametrize("discipline", ["fair", "fifo"])
    async def test_queues_whose_groups_take_turns_are_claimable_alike(self, world: World, discipline: str):
        queue = await world.queue_with("orders", **{discipline: True})
        other = await world.queue_with("other", **{discipline: True})
        await world.enqueue(queue, message(group_id="g", delay_ms=1_000))
        await world.enqueue(other, message(group_id="g"))
        assert await world.store.claimable(["orders", "other"]) == ["other"]
        world.advance(1_000)
        assert sorted(await world.store.claimable(["orders", "other"])) == ["orders", "other"]
        await world.claim(other)
        assert await world.store.claimable(["other"]) == []

    async def test_a_peek_shows_one_state_in_the_order_of_its_line(self, world: World):
        queue, other = await world.queue(), await world.queue("other")
        late, soon, first, second, third = await world.enqueue(
            queue, message(delay_ms=9_000), message(delay_ms=5_000), message(), message(), message()
        )
        await world.enqueue(other)
        held_long, held_short = await world.claim_one(queue, 60_000), await world.claim_one(queue, 30_000)
        leased = [held_short.message.id, held_long.message.id]
        assert leased == [second, first]
        assert await _ids(world, queue, State.READY) == [third]
        assert await _ids(world, queue, State.DELAYED) == [soon, late]
        assert await _ids(world, queue, State.LEASED) == leased

    async def test_a_peek_goes_on_behind_a_position(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, *[message() for _ in range(5)])
        world.advance(1_000)
        ids += await world.enqueue(queue, message())
        seen: list[int] = []
        after = None
        while page := await world.stats.peek(queue.partition_id, State.READY, after, 2):
            assert len(page) <= 2
            seen += [m.id for m in page]
            after = Position(page[-1].not_before, page[-1].id)
        assert seen == ids
        assert len(await world.claim(queue)) == 6

    async def test_a_peek_pages_through_leases(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, *[message() for _ in range(5)])
        ids = [d.message.id for d in await world.claim(queue)]
        first = await world.stats.peek(queue.partition_id, State.LEASED, None, 3)
        rest = await world.stats.peek(queue.partition_id, State.LEASED, _place(first[-1]), 3)
        assert [m.id for m in first + rest] == sorted(ids)

    async def test_a_delayed_message_is_seen_as_ready_once_its_time_has_come(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, message(delay_ms=1_000))
        world.advance(1_000)
        assert await _ids(world, queue, State.READY) == ids
        assert await _ids(world, queue, State.DELAYED) == []

    async def test_a_peek_shows_attributes_group_and_last_error(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(attributes={"a": "1", "é": ""}, group_id="g"))
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.requeue_expired(error="boom")
        (seen,) = await world.stats.peek(queue.partition_id, State.READY, None, 1)
        assert (seen.attributes, seen.group_id, seen.last_error) == ({"a": "1", "é": ""}, "g", "boom")
        assert (seen.delivery_count, seen.deliveries_before, seen.fence) == (1, 0, 1)

    async def test_depths_beyond_ten_thousand_are_close(self, world: World):
        queue, small = await world.queue(), await world.queue("small")
        await world.enqueue(small, message())
        for _ in range(DEPTH_EXACT_MAX // 1_000 + 2):
            await world.enqueue(queue, *[message(b"1") for _ in range(1_000)])
        depth, of_small = await world.stats.depths([queue, small])
        there = DEPTH_EXACT_MAX + 2_000
        assert depth.ready == there or depth.approximate
        assert DEPTH_EXACT_MAX < depth.ready < 2 * there
        assert (of_small.ready, of_small.approximate) == (1, False)

    async def test_depths_follow_moves_and_deletes(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        await world.enqueue(queue, message(), message(), message(retention_ms=1_000))
        await world.claim(queue, 1, 1_000)
        await world.claim(queue, 1, 60_000)
        world.advance(1_000)
        await world.dead_letter_expired(dlq)
        await world.store.expire(10)
        of_queue, of_dlq = await world.stats.depths([queue, dlq])
        assert (of_queue.ready, of_queue.delayed, of_queue.in_flight) == (0, 0, 1)
        assert (of_dlq.ready, of_dlq.delayed, of_dlq.in_flight) == (1, 0, 0)

    async def test_totals_are_added_up(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        assert await world.stats.totals([one.partition_id]) == [Totals()]
        added = Totals(enqueued=4, received=3, acked=2, dead_lettered=1)
        for _ in range(2):
            await world.stats.add({one.partition_id: added})
        twice = Totals(enqueued=8, received=6, acked=4, dead_lettered=2)
        assert await world.stats.totals([other.partition_id, one.partition_id]) == [Totals(), twice]

    async def test_totals_of_a_dropped_partition_are_passed_over(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        await world.catalog.drop("one")
        await world.stats.add({one.partition_id: Totals(enqueued=1), other.partition_id: Totals(acked=1)})
        assert await world.stats.totals([one.partition_id, other.partition_id]) == [Totals(), Totals(acked=1)]

    async def test_a_sighting_shows_message_queue_and_time(self, world: World):
        queue = await world.queue()
        (message_id,) = await world.enqueue(queue, message(delay_ms=5_000))
        world.advance(1_000)
        seen = await world.store_sight(message_id)
        assert (seen.now, seen.queue, seen.message.id, seen.blocked_by) == (world.now, queue, message_id, None)
        assert seen.message.not_before == world.now + ms(4_000)

    async def test_what_is_gone_is_not_seen(self, world: World):
        queue = await world.queue()
        (message_id,) = await world.enqueue(queue)
        assert await world.stats.sight(message_id + 1_000) is None
        await world.ack((await world.claim_one(queue)).receipt)
        assert await world.stats.sight(message_id) is None

    async def test_what_was_purged_is_not_seen(self, world: World):
        (message_id,) = await world.enqueue(await world.queue())
        await world.catalog.renew("orders")
        assert await world.stats.sight(message_id) is None

    async def test_a_sighting_names_what_blocks_a_message_of_a_fifo_queue(self, world: World):
        queue = await world.queue_with(fifo=True)
        first, second, third, other = await world.enqueue(
            queue, *[message(group_id="g") for _ in range(3)], message(group_id="h")
        )
        assert [await world.blocker_of(one) for one in (first, second, third, other)] == [
            None,
            first,
            first,
            None,
        ]
        await world.claim(queue, 1, 1_000)
        assert await world.blocker_of(third) == first
        world.advance(1_000)
        (lease,) = (await world.store.expired(10)).leases
        await world.store.settle(queue.partition_id, [RequeueAt(lease, world.now + ms(5_000))])
        assert [await world.blocker_of(one) for one in (first, second)] == [None, first]
        await world.store.ack_unproven([first])
        assert await world.blocker_of(second) is None

    async def test_a_sighting_says_how_what_blocks_a_message_stands(self, world: World):
        queue = await world.queue_with(fifo=True)
        sent = [message(group_id="g", retention_ms=60_000), message(group_id="g")]
        first, second = await world.enqueue(queue, *sent)
        blocker = Blocker(id=first, not_before=world.now, lease_until=None, expires_at=world.now + ms(60_000))
        assert (await world.store_sight(second)).blocked_by == blocker
        await world.claim(queue, 1, 1_000)
        leased = replace(blocker, lease_until=world.now + ms(1_000))
        assert (await world.store_sight(second)).blocked_by == leased
        world.advance(1_000)
        await world.requeue_expired(after_ms=5_000)
        waiting = replace(blocker, not_before=world.now + ms(5_000))
        assert (await world.store_sight(second)).blocked_by == waiting

    async def test_a_leased_message_waits_for_nothing(self, world: World):
        queue = await world.queue_with(fifo=True)
        ids = await world.enqueue(queue, message(group_id="g"), message(group_id="g"))
        assert len(await world.claim(queue, 2)) == 2
        assert [await world.blocker_of(one) for one in ids] == [None, None]

    async def test_nothing_blocks_a_message_of_another_queue(self, world: World):
        queue = await world.queue()
        _, second = await world.enqueue(queue, message(group_id="g"), message(group_id="g"))
        assert await world.blocker_of(second) is None


async def _ids(world: World, queue: Queue, state: State) -> list[int]:
    return [m.id for m in await world.stats.peek(queue.partition_id, state, None, 10)]


def _place(leased: Message) -> Position:
    assert leased.lease_until is not None
    return Position(leased.lease_until, leased.id)
