"""FIFO and FAIR queues: groups are served in turn, and in a FIFO queue a group waits for what is in work."""

import asyncio
from collections.abc import Iterable

import pytest

from sqslite.domain.leases import Acked
from sqslite.domain.limits import RETENTION_FOREVER, ms
from sqslite.domain.messages import Delivery, NewMessage
from sqslite.domain.ports import Delete, Extension, MoveToDlq, RequeueAt, Settlement
from sqslite.domain.queues import Queue, QueueSettings
from tests.conformance.world import VISIBILITY_MS, World, message

FIFO = QueueSettings(fifo=True)
FAIR = QueueSettings(fair=True)


class Grouping:
    # FIFO

    async def test_a_group_comes_in_the_order_of_acceptance(self, world: World):
        queue = await world.queue(settings=FIFO)
        ids = await world.enqueue(queue, *_of("a", 3))
        ids += await world.enqueue(queue, *_of("a", 2))
        assert ids == sorted(set(ids))
        assert _ids(await world.claim(queue, 3)) == ids[:3]

    async def test_a_group_waits_while_a_message_of_it_is_leased(self, world: World):
        queue = await world.queue(settings=FIFO)
        first, second, other = await world.enqueue(queue, *_of("a", 2), *_of("b", 1))
        delivery = await world.claim_one(queue)
        assert delivery.message.id == first
        assert _ids(await world.claim(queue)) == [other]
        await world.enqueue(queue, *_of("a", 1))
        assert await world.claim(queue) == []
        await world.ack(delivery.receipt)
        assert _ids(await world.claim(queue, 1)) == [second]

    async def test_a_lease_that_ended_blocks_until_it_is_settled(self, world: World):
        queue = await world.queue(settings=FIFO)
        ids = await world.enqueue(queue, *_of("a", 2))
        await world.claim(queue, 1, 1_000)
        world.advance(2_000)
        assert await world.claim(queue) == []
        await world.requeue_expired()
        assert _ids(await world.claim(queue)) == ids

    async def test_a_delayed_message_that_was_never_delivered_does_not_block(self, world: World):
        queue = await world.queue(settings=FIFO)
        delayed, prompt = await world.enqueue(queue, message(group_id="a", delay_ms=5_000), message(group_id="a"))
        delivery = await world.claim_one(queue)
        assert delivery.message.id == prompt
        await world.ack(delivery.receipt)
        world.advance(5_000)
        assert _ids(await world.claim(queue)) == [delayed]

    async def test_a_message_that_waits_for_its_retry_blocks_its_group(self, world: World):
        queue = await world.queue(settings=FIFO)
        first, second, other = await world.enqueue(queue, *_of("a", 2), *_of("b", 1))
        await world.claim(queue, 1, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=5_000)
        assert _ids(await world.claim(queue)) == [other]
        world.advance(4_999)
        assert await world.claim(queue) == []
        world.advance(1)
        assert _ids(await world.claim(queue)) == [first, second]

    @pytest.mark.parametrize("looked_at", [False, True])
    async def test_a_retry_that_retention_overtakes_blocks_nothing_even_before_it_is_deleted(
        self, world: World, looked_at: bool
    ):
        queue = await world.queue(settings=FIFO)
        first, second = await world.enqueue(queue, message(group_id="a", retention_ms=3_000), *_of("a", 1))
        await world.claim(queue, 1, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=60_000)
        world.advance(1_999)
        assert await world.blocker_of(second) == first
        assert not looked_at or await world.claim(queue) == []
        world.advance(1)
        assert await world.blocker_of(second) is None
        assert _ids(await world.claim(queue)) == [second]
        assert await world.store.expire(10) == 1

    async def test_a_retry_that_is_kept_blocks_though_retention_has_overtaken_another(self, world: World):
        queue = await world.queue(settings=FIFO)
        _, kept, last = await world.enqueue(queue, message(group_id="a", retention_ms=3_000), *_of("a", 2))
        await world.claim(queue, 2, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=60_000)
        world.advance(2_000)
        assert await world.blocker_of(last) == kept
        assert await world.claim(queue) == []
        world.advance(58_000)
        assert _ids(await world.claim(queue)) == [kept, last]

    async def test_a_retry_past_its_retention_that_is_leased_once_more_blocks_its_group(self, world: World):
        queue = await world.queue(settings=FIFO)
        first, second = await world.enqueue(queue, message(group_id="a", retention_ms=3_000), *_of("a", 1))
        delivery = await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=60_000)
        world.advance(2_000)
        assert await world.blocker_of(second) is None
        await world.store.extend(queue.partition_id, [Extension(delivery.receipt, 1_000)])
        assert await world.blocker_of(second) == first
        assert await world.claim(queue) == []
        world.advance(1_000)
        await world.requeue_expired(after_ms=60_000)
        assert _ids(await world.claim(queue)) == [second]

    async def test_groups_with_nothing_to_give_do_not_cost_others_their_turn(self, world: World):
        queue = await world.queue(settings=FIFO)
        await world.enqueue(queue, *_of("a", 2), *_of("b", 2), *_of("c", 2), *_of("d", 2), *_of("e", 1))
        held = await world.claim(queue, 3, 1_000)
        assert _groups(held) == ["a", "b", "c"]
        # Of those that were served, one waits for its retry, one is leased, and one has all it had acked.
        world.advance(500)
        await world.store.extend(queue.partition_id, [Extension(held[1].receipt, 60_000)])
        await world.ack(held[2].receipt)
        world.advance(500)
        await world.requeue_expired(after_ms=60_000)
        assert _groups(await world.claim(queue, 3)) == ["c", "d", "e"]

    @pytest.mark.parametrize("settings", [FIFO, FAIR], ids=["fifo", "fair"])
    async def test_a_group_gives_no_second_message_before_one_that_can_give_a_first(self, world: World, settings):
        queue = await world.queue(settings=settings)
        await world.enqueue(queue, *_of("a", 2), *_of("b", 2), *_of("c", 2))
        in_a, _ = await world.claim(queue, 2, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=0 if settings.fifo else 60_000)
        # Of the group whose turn it is next but one, everything is in work again.
        await world.store.extend(queue.partition_id, [Extension(in_a.receipt, 60_000)])
        if settings.fair:
            await world.store.ack_unproven([m.id for m in await world.messages(queue) if m.group_id == "a"][1:])
        assert _groups(await world.claim(queue, 2)) == ["b", "c"]

    async def test_all_of_one_group_before_any_of_the_next_where_that_is_wanted(self, world: World):
        queue = await world.queue(settings=FIFO)
        a1, b1, a2, b2, c1, _ = await world.enqueue(queue, *[message(group_id=name) for name in "ababca"])
        assert _ids(await world.claim(queue, 2, whole_groups=True)) == [a1, a2]
        # In work, that group gives nothing; the others have had no turn and keep their place.
        held = await world.claim(queue, 2, 1_000, whole_groups=True)
        assert _ids(held) == [b1, b2]
        await world.ack(held[0].receipt)
        world.advance(1_000)
        await world.requeue_expired()
        assert _ids(await world.claim(queue, 2, whole_groups=True)) == [b2, c1]

    async def test_whole_groups_take_turns_too(self, world: World):
        queue = await world.queue(settings=FIFO)
        for name in "abcdef":
            await world.enqueue(queue, *_of(name, 3))
        held = await world.claim(queue, 4)
        world.advance(VISIBILITY_MS)
        await world.requeue_expired()
        turns = _groups(await world.claim(queue, 2))
        assert turns == ["e", "f"]
        assert _groups(held) == ["a", "b", "c", "d"]
        assert _groups(await world.claim(queue, 5, whole_groups=True)) == ["a", "a", "a", "b", "b"]
        assert _groups(await world.claim(queue, 2, whole_groups=True)) == ["c", "c"]
        assert _groups(await world.claim(queue, 9, whole_groups=True)) == ["d", "d", "d"]

    async def test_groups_that_give_give_again_where_too_few_others_can(self, world: World):
        queue = await world.queue(settings=FIFO)
        a, b, c, d = [await world.enqueue(queue, *_of(name, 4)) for name in "abcd"]
        held = await world.claim(queue, 2, 1_000)
        world.advance(1_000)
        await world.requeue_expired()
        await world.store.extend(queue.partition_id, [Extension(delivery.receipt, 60_000) for delivery in held])
        # The turns are those of c, d, a and b, of which the last two have nothing to give.
        assert _ids(await world.claim(queue, 4)) == [*c[:2], *d[:2]]
        await world.ack(*[delivery.receipt for delivery in held])
        assert _ids(await world.claim(queue, 8)) == [*a[1:], *b[1:]]

    async def test_order_holds_where_part_of_a_batch_is_acked_and_the_rest_given_back(self, world: World):
        queue = await world.queue(settings=FIFO)
        ids = await world.enqueue(queue, *_of("a", 5))
        one, two, three = await world.claim(queue, 3)
        await world.ack(two.receipt)
        # Given back in the wrong order: the group stays blocked until the last of them is settled.
        assert await _settle(world, queue, RequeueAt(await _lease(world, three), world.now)) == [True]
        assert await world.claim(queue) == []
        assert await _settle(world, queue, RequeueAt(await _lease(world, one), world.now)) == [True]
        assert _ids(await world.claim(queue)) == [ids[0], *ids[2:]]

    async def test_order_holds_where_a_batch_expires(self, world: World):
        queue = await world.queue(settings=FIFO)
        ids = await world.enqueue(queue, *_of("a", 4))
        first, *_ = await world.claim(queue, 3, 1_000)
        await world.ack(first.receipt)
        world.advance(1_000)
        await world.requeue_expired()
        assert _ids(await world.claim(queue)) == ids[1:]

    @pytest.mark.parametrize("way", ["ack", "ack_unproven", "dead_letter", "delete"])
    async def test_a_group_goes_on_when_what_it_waited_for_is_gone(self, world: World, way: str):
        queue, dlq = await world.queue(settings=FIFO), await world.queue("dead")
        _, second = await world.enqueue(queue, *_of("a", 2))
        delivery = await world.claim_one(queue)
        assert await world.claim(queue) == []
        if way == "ack":
            assert await world.ack(delivery.receipt) == [Acked(world.now, queue.partition_id)]
        elif way == "ack_unproven":
            assert await world.store.ack_unproven([delivery.message.id]) == [Acked(world.now, queue.partition_id)]
        else:
            lease = await _lease(world, delivery)
            dead_letter = MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER)
            settlement = dead_letter if way == "dead_letter" else Delete(lease)
            assert await _settle(world, queue, settlement) == [True]
        assert _ids(await world.claim(queue)) == [second]

    async def test_what_waits_for_its_retry_blocks_no_longer_when_it_is_acked_late(self, world: World):
        queue = await world.queue(settings=FIFO)
        _, second = await world.enqueue(queue, *_of("a", 2))
        delivery = await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=60_000)
        assert await world.claim(queue) == []
        await world.ack(delivery.receipt)
        assert _ids(await world.claim(queue)) == [second]

    async def test_a_late_extension_of_a_settled_message_blocks_its_group_again(self, world: World):
        queue = await world.queue(settings=FIFO)
        ids = await world.enqueue(queue, *_of("a", 2))
        delivery = await world.claim_one(queue, 1_000)
        world.advance(1_000)
        await world.requeue_expired()
        extended = await world.store.extend(queue.partition_id, [Extension(delivery.receipt, 5_000)])
        assert extended == [world.now + ms(5_000)]
        assert await world.claim(queue) == []
        world.advance(5_000)
        await world.requeue_expired()
        assert _ids(await world.claim(queue)) == ids

    async def test_groups_are_served_in_turn_the_least_recently_served_first(self, world: World):
        queue = await world.queue(settings=FIFO)
        await world.enqueue(queue, *_of("a", 3), *_of("b", 3), *_of("c", 1))
        assert await _served(world, queue, 7) == ["a", "b", "c", "a", "b", "a", "b"]

    async def test_a_group_that_comes_new_counts_as_just_served(self, world: World):
        queue = await world.queue(settings=FIFO)
        await world.enqueue(queue, *_of("a", 3), *_of("b", 1))
        assert await _served(world, queue, 1) == ["a"]
        await world.enqueue(queue, *_of("c", 1))
        assert await _served(world, queue, 4) == ["b", "a", "c", "a"]

    async def test_one_of_each_group_comes_before_a_second_of_any(self, world: World):
        queue = await world.queue(settings=FIFO)
        ids = await world.enqueue(queue, *_of("a", 5), *_of("b", 1), *_of("c", 1))
        assert _ids(await world.claim(queue, 4)) == [ids[0], ids[1], ids[5], ids[6]]

    async def test_a_claim_takes_as_many_of_a_group_as_there_is_room_for_in_order(self, world: World):
        queue = await world.queue(settings=FIFO)
        ids = await world.enqueue(queue, *_of("a", 3), *_of("b", 2), *_of("a", 2))
        assert _ids(await world.claim(queue, 10)) == ids

    async def test_messages_in_no_group_are_one_group(self, world: World):
        queue = await world.queue(settings=FIFO)
        first, second, other = await world.enqueue(queue, message(), message(), *_of("a", 1))
        assert _ids(await world.claim(queue, 1)) == [first]
        assert _ids(await world.claim(queue)) == [other]
        assert second not in _ids(await world.claim(queue))

    async def test_a_long_group_comes_in_order_over_many_claims(self, world: World):
        queue = await world.queue(settings=FIFO)
        ids = await world.enqueue(queue, *_of("a", 50))
        taken: list[int] = []
        while deliveries := await world.claim(queue, 7):
            taken += _ids(deliveries)
            assert await world.claim(queue, 7) == []
            await world.ack(*[delivery.receipt for delivery in deliveries])
        assert taken == ids

    async def test_a_group_of_the_same_name_elsewhere_is_another_one(self, world: World):
        one, other = await world.queue("one", FIFO), await world.queue("other", FIFO)
        await world.enqueue(one, *_of("a", 2))
        ids = await world.enqueue(other, *_of("a", 2))
        await world.claim_one(one)
        assert _ids(await world.claim(other)) == ids

    async def test_dead_letters_come_in_order_from_a_fifo_dlq(self, world: World):
        queue, dlq = await world.queue(settings=FIFO), await world.queue("dead", FIFO)
        ids = await world.enqueue(queue, *_of("a", 3))
        for delivery in reversed(await world.claim(queue)):
            world.advance(1)
            move = MoveToDlq(await _lease(world, delivery), dlq, world.now, RETENTION_FOREVER)
            assert await _settle(world, queue, move) == [True]
        first = await world.claim_one(dlq)
        assert await world.claim(dlq) == []
        await world.ack(first.receipt)
        assert [first.message.id, *_ids(await world.claim(dlq))] == ids

    async def test_a_dead_letter_does_not_wait_for_the_deliveries_it_had_elsewhere(self, world: World):
        queue, dlq = await world.queue(settings=FIFO), await world.queue("dead", FIFO)
        await world.enqueue(queue, *_of("a", 1))
        delivery = await world.claim_one(queue)
        later = world.now + ms(60_000)
        await _settle(world, queue, MoveToDlq(await _lease(world, delivery), dlq, later, RETENTION_FOREVER))
        (second,) = await world.enqueue(dlq, *_of("a", 1))
        assert _ids(await world.claim(dlq)) == [second]

    async def test_concurrent_claims_never_share_a_group(self, world: World):
        queue = await world.queue(settings=FIFO)
        groups = {"a", "b", "c", "d"}
        await world.enqueue(queue, *[message(group_id=name) for _ in range(3) for name in sorted(groups)])
        claims = await asyncio.gather(*[world.claim(queue, 2) for _ in range(6)])
        # A claim may come short while others are at work, never after them.
        claims += [await world.claim(queue, 2), await world.claim(queue, 2)]
        dealt = [{delivery.message.group_id for delivery in claim} for claim in claims]
        assert set().union(*dealt) == groups
        assert sum(len(names) for names in dealt) == len(groups)
        assert await world.claim(queue) == []

    async def test_a_group_comes_in_order_while_it_is_enqueued_by_many(self, world: World):
        queue = await world.queue(settings=FIFO)
        taken: list[int] = []

        async def take() -> None:
            while len(taken) < 20:
                await asyncio.sleep(0)
                for delivery in await world.claim(queue, 3):
                    taken.append(delivery.message.id)
                    await world.ack(delivery.receipt)

        enqueues = [world.enqueue(queue, *_of("a", 2)) for _ in range(10)]
        accepted = await asyncio.wait_for(asyncio.gather(take(), *enqueues), 20)
        assert taken == sorted(message_id for ids in accepted[1:] for message_id in ids)

    # FAIR

    async def test_a_flood_of_one_group_does_not_delay_the_others(self, world: World):
        queue = await world.queue(settings=FAIR)
        flood = await world.enqueue(queue, *_of("flood", 30))
        quiet = await world.enqueue(queue, *_of("a", 1), *_of("b", 1))
        assert _ids(await world.claim(queue, 3)) == [flood[0], *quiet]
        assert _ids(await world.claim(queue, 2)) == flood[1:3]

    async def test_fair_groups_are_served_in_turn_the_least_recently_served_first(self, world: World):
        queue = await world.queue(settings=FAIR)
        await world.enqueue(queue, *_of("a", 3), *_of("b", 2), message(), message())
        assert await _served(world, queue, 7) == ["a", "b", None, "a", "b", None, "a"]

    async def test_a_leased_message_of_a_fair_queue_blocks_nothing(self, world: World):
        queue = await world.queue(settings=FAIR)
        ids = await world.enqueue(queue, *_of("a", 3))
        assert [(await world.claim_one(queue)).message.id for _ in ids] == ids

    async def test_a_message_of_a_fair_queue_that_waits_for_its_retry_blocks_nothing(self, world: World):
        queue = await world.queue(settings=FAIR)
        first, second = await world.enqueue(queue, *_of("a", 2))
        await world.claim(queue, 1, 1_000)
        world.advance(1_000)
        await world.requeue_expired(after_ms=5_000)
        assert _ids(await world.claim(queue)) == [second]
        world.advance(5_000)
        (again,) = await world.claim(queue)
        assert (again.message.id, again.message.delivery_count) == (first, 2)

    async def test_a_fair_group_gives_what_is_due_the_longest(self, world: World):
        queue = await world.queue(settings=FAIR)
        late, soon, other = await world.enqueue(
            queue, message(group_id="a", delay_ms=2_000), message(group_id="a", delay_ms=1_000), message(group_id="b")
        )
        assert _ids(await world.claim(queue)) == [other]
        world.advance(3_000)
        assert [(await world.claim_one(queue)).message.id for _ in range(2)] == [soon, late]

    async def test_what_was_enqueued_before_fair_was_switched_on_follows_the_groups(self, world: World):
        queue = await world.queue()
        before = await world.enqueue(queue, *_of("a", 2))
        queue, _ = await world.catalog.put(queue.name, FAIR)
        after = await world.enqueue(queue, *_of("a", 1), *_of("b", 1))
        assert [(await world.claim_one(queue)).message.id for _ in range(4)] == [*after, *before]

    async def test_what_was_enqueued_before_fair_was_switched_on_fills_a_claim_up(self, world: World):
        queue = await world.queue()
        before = await world.enqueue(queue, *_of("a", 3))
        queue, _ = await world.catalog.put(queue.name, FAIR)
        after = await world.enqueue(queue, *_of("b", 1))
        assert _ids(await world.claim(queue, 3)) == [*before[:2], *after]

    async def test_a_queue_that_is_no_longer_fair_gives_the_oldest_first(self, world: World):
        queue = await world.queue(settings=FAIR)
        ids = await world.enqueue(queue, *_of("a", 2), *_of("b", 1))
        queue, _ = await world.catalog.put(queue.name, QueueSettings())
        ids += await world.enqueue(queue, *_of("b", 1))
        assert _ids(await world.claim(queue, 2)) == ids[:2]
        assert _ids(await world.claim(queue)) == ids[2:]

    async def test_dead_letters_of_a_fair_dlq_are_served_by_their_groups(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead", FAIR)
        await world.enqueue(queue, *_of("flood", 5), *_of("a", 1))
        for delivery in await world.claim(queue):
            await _settle(world, queue, MoveToDlq(await _lease(world, delivery), dlq, world.now, RETENTION_FOREVER))
        assert sorted(d.message.group_id for d in await world.claim(dlq, 2)) == ["a", "flood"]

    async def test_concurrent_claims_of_a_fair_queue_hand_each_message_out_once(self, world: World):
        queue = await world.queue(settings=FAIR)
        ids = await world.enqueue(queue, *_of("a", 9), *_of("b", 2), *_of("c", 1))
        claims = await asyncio.gather(*[world.claim(queue, 3) for _ in range(6)])
        taken = [message_id for claim in claims for message_id in _ids(claim)]
        while claimed := _ids(await world.claim(queue)):
            taken += claimed
        assert sorted(taken) == ids


def _of(group: str, count: int) -> list[NewMessage]:
    return [message(group_id=group) for _ in range(count)]


def _ids(deliveries: Iterable[Delivery]) -> list[int]:
    return [delivery.message.id for delivery in deliveries]


def _groups(deliveries: Iterable[Delivery]) -> list[str | None]:
    return [delivery.message.group_id for delivery in deliveries]


async def _served(world: World, queue: Queue, count: int) -> list[str | None]:
    """The groups of so many messages, claimed and acked one by one."""
    groups = []
    for _ in range(count):
        delivery = await world.claim_one(queue)
        await world.ack(delivery.receipt)
        groups.append(delivery.message.group_id)
    return groups


async def _lease(world: World, delivery: Delivery):
    held = await world.store.held(delivery.receipt.partition_id, [delivery.receipt])
    return held.leases[0]


async def _settle(world: World, queue: Queue, settlement: Settlement) -> list[bool]:
    return await world.store.settle(queue.partition_id, [settlement])
