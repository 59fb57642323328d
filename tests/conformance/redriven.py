"""Redrives: guarded steps, and what becomes of the messages that they move."""

import asyncio

import pytest

from sqslite.domain.leases import Refusal
from sqslite.domain.limits import RETENTION_FOREVER, ms
from sqslite.domain.messages import Message
from sqslite.domain.ports import MoveToDlq, Position, RequeueAt
from tests.conformance.tasks import (
    COMPLETED,
    FIFO,
    HOLD_MS,
    RUNNING,
    advanced,
    dead_letters,
    move_to,
    position_of,
    taken_task,
)
from tests.conformance.world import World, message


class Redriven:
    # Advancing

    async def test_a_step_moves_messages_and_keeps_count_and_position(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        ids = await world.enqueue(dead, *[message() for _ in range(3)])
        task = await taken_task(world, dead)
        for moved, count in ((2, 2), (3, 1)):
            candidates = await world.redrives.candidates(task, 2)
            assert await advanced(world, task, target, *candidates) == count
            (task,) = await world.redrives.page(dead.partition_id, 1)
            last = candidates[-1]
            assert (task.moved, task.position_at, task.position_id) == (moved, last.not_before, last.id)
            assert (task.state, task.taken) == (RUNNING, 1)
        assert await world.messages(dead) == []
        assert [one.id for one in await world.messages(target)] == ids

    async def test_a_step_may_go_on_without_moving_anything(self, world: World):
        dead = await world.queue("dead")
        (message_id,) = await world.enqueue(dead)
        task = await taken_task(world, dead)
        position = Position(world.now, message_id)
        assert await world.redrives.advance(task, [], position, HOLD_MS) == 0
        (shown,) = await world.redrives.page(dead.partition_id, 1)
        assert (shown.moved, shown.position_at, shown.position_id) == (0, world.now, message_id)

    async def test_a_step_holds_the_task_from_now(self, world: World):
        dead = await world.queue("dead")
        task = await taken_task(world, dead)
        world.advance(HOLD_MS - 1)
        assert await world.redrives.advance(task, [], Position(world.now, 0), HOLD_MS) == 0
        world.advance(HOLD_MS - 1)
        assert await world.redrives.take(HOLD_MS) is None
        world.advance(1)
        assert await world.redrives.take(HOLD_MS) is not None

    @pytest.mark.parametrize("end", ["cancel", "finish"])
    async def test_a_task_that_ended_takes_no_step(self, world: World, end: str):
        dead, target = await world.queue("dead"), await world.queue()
        await world.enqueue(dead)
        task = await taken_task(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        if end == "cancel":
            await world.redrives.cancel(dead.partition_id, task.id)
        else:
            await world.redrives.finish(task, COMPLETED)
        ended, before = await world.redrives.page(dead.partition_id, 10), await world.messages(dead)
        assert await advanced(world, task, target, *candidates) is None
        assert await world.redrives.page(dead.partition_id, 10) == ended
        assert (await world.messages(dead), await world.messages(target)) == (before, [])

    async def test_a_node_that_lost_its_task_takes_no_step(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        ids = await world.enqueue(dead)
        lost = await taken_task(world, dead)
        candidates = await world.redrives.candidates(lost, 10)
        world.advance(HOLD_MS)
        task = await world.redrives.take(HOLD_MS)
        assert task is not None
        assert await advanced(world, lost, target, *candidates) is None
        assert await world.redrives.page(dead.partition_id, 10) == [task]
        assert ([one.id for one in await world.messages(dead)], await world.messages(target)) == (ids, [])
        assert await advanced(world, task, target, *candidates) == 1

    async def test_a_node_whose_hold_is_over_goes_on_while_nobody_took_its_task(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        await world.enqueue(dead)
        task = await taken_task(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        world.advance(HOLD_MS * 2)
        assert await advanced(world, task, target, *candidates) == 1
        assert await world.redrives.take(HOLD_MS) is None

    async def test_what_is_no_longer_ready_is_passed_over(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        leased, delayed, gone, elsewhere, ready = await world.enqueue(dead, *[message() for _ in range(5)])
        task = await taken_task(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        assert len(candidates) == 5
        deliveries = {one.message.id: one for one in await world.claim(dead)}
        held = await world.store.held(dead.partition_id, [one.receipt for one in deliveries.values()])
        leases = {lease.receipt.message_id: lease for lease in held.leases if not isinstance(lease, Refusal)}
        other = await world.queue("other")
        settlements = [
            RequeueAt(leases[delayed], world.now + ms(60_000)),
            MoveToDlq(leases[elsewhere], other, world.now, RETENTION_FOREVER),
            RequeueAt(leases[ready], world.now),
        ]
        assert await world.store.settle(dead.partition_id, settlements) == [True] * 3
        await world.ack(deliveries[gone].receipt)
        assert await advanced(world, task, target, *candidates) == 1
        assert [one.id for one in await world.messages(target)] == [ready]
        assert [one.id for one in await world.messages(dead)] == [leased, delayed]
        assert [one.id for one in await world.messages(other)] == [elsewhere]
        assert (await world.redrives.page(dead.partition_id, 1))[0].moved == 1
        # The lease of what was passed over is as it was.
        assert await world.ack(deliveries[leased].receipt) != [Refusal.STALE]

    async def test_what_retention_overtakes_before_the_step_is_passed_over(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        over, kept = await world.enqueue(dead, message(retention_ms=1_000), message(retention_ms=1_001))
        task = await taken_task(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        assert [one.id for one in candidates] == [over, kept]
        world.advance(1_000)
        assert await advanced(world, task, target, *candidates) == 1
        assert [one.id for one in await world.messages(target)] == [kept]
        assert await world.store.expire(10) == 1

    @pytest.mark.parametrize("way", ["renew", "drop"])
    async def test_what_would_go_to_a_dropped_partition_stays(self, world: World, way: str):
        dead, gone, target = [await world.queue(name) for name in ("dead", "gone", "orders")]
        stays, goes = await world.enqueue(dead, message(), message())
        task = await taken_task(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        before = (await world.messages(dead))[0]
        await (world.catalog.renew("gone") if way == "renew" else world.catalog.drop("gone"))
        moves = [move_to(stays, gone), move_to(goes, target)]
        assert await world.redrives.advance(task, moves, position_of(candidates[-1]), HOLD_MS) == 1
        assert await world.messages(dead) == [before]
        assert [one.id for one in await world.messages(target)] == [goes]

    async def test_a_step_moves_each_to_a_target_of_its_own(self, world: World):
        dead, one, other = [await world.queue(name) for name in ("dead", "one", "other")]
        first, second, third = await world.enqueue(dead, message(), message(), message())
        task = await taken_task(world, dead)
        moves = [move_to(first, one), move_to(second, other, dlq="dead"), move_to(third, one, retention_ms=1_000)]
        assert await world.redrives.advance(task, moves, Position(world.now, third), HOLD_MS) == 3
        shown = [(m.id, m.dlq, m.expires_at) for queue in (one, other) for m in await world.messages(queue)]
        assert shown == [(first, None, None), (third, None, world.now + ms(1_000)), (second, "dead", None)]

    async def test_steps_taken_twice_at_once_move_each_message_once(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        ids = await world.enqueue(dead, *[message() for _ in range(6)])
        task = await taken_task(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        steps = await asyncio.gather(*[advanced(world, task, target, *candidates) for _ in range(3)])
        assert sorted(step or 0 for step in steps) == [0, 0, 6]
        assert [one.id for one in await world.messages(target)] == ids
        assert (await world.redrives.page(dead.partition_id, 1))[0].moved == 6

    # What becomes of a message

    async def test_a_redriven_message_starts_anew_and_is_what_it_was(self, world: World):
        sent = message(
            b'"\\u00e9"',
            attributes={"k": "v"},
            group_id="g",
            dedup_id="d",
            trace_id="t",
            max_retries=2,
            retention_ms=60_000,
        )
        queue, dead = await world.queue(), await world.queue("dead")
        enqueued_at = world.now
        (message_id,) = await dead_letters(world, queue, dead, sent)
        in_dead = await world.claim_one(dead, 1_000)
        assert in_dead.message.fence == 2
        world.advance(1_000)
        await world.requeue_expired(error="dead twice")
        task = await taken_task(world, dead)
        (candidate,) = await world.redrives.candidates(task, 10)
        assert (candidate.origin_queue, candidate.delivery_count) == ("orders", 1)
        moves = [move_to(message_id, queue, dlq="dead", retention_ms=7_000)]
        assert await world.redrives.advance(task, moves, position_of(candidate), HOLD_MS) == 1
        assert await world.messages(queue) == [
            Message(
                id=message_id,
                body=sent.body,
                body_kind=sent.body_kind,
                attributes={"k": "v"},
                enqueued_at=enqueued_at,
                not_before=world.now,
                first_claimed_at=None,
                lease_until=None,
                expires_at=world.now + ms(7_000),
                delivery_count=0,
                deliveries_before=2,
                max_retries=2,
                dlq="dead",
                trace_id="t",
                group_id="g",
                dedup_id="d",
                last_error="dead twice",
                origin_queue=None,
                origin_delivery_count=None,
            )
        ]
        delivery = await world.claim_one(queue)
        assert (delivery.message.delivery_count, delivery.message.fence) == (1, 3)

    async def test_no_receipt_of_before_is_good_for_a_redriven_message(self, world: World):
        queue, dead = await world.queue(), await world.queue("dead")
        (message_id,) = await world.enqueue(dead)
        old = await world.claim_one(dead, 1_000)
        world.advance(1_000)
        await world.requeue_expired()
        task = await taken_task(world, dead)
        assert await advanced(world, task, queue, *await world.redrives.candidates(task, 10)) == 1
        (outcome,) = await world.ack(old.receipt)
        assert isinstance(outcome, Refusal)
        assert [one.id for one in await world.messages(queue)] == [message_id]

    async def test_retention_counts_anew_in_the_target(self, world: World):
        queue, dead = await world.queue(), await world.queue("dead")
        forever, short = await world.enqueue(dead, message(retention_ms=2_000), message(retention_ms=2_000))
        world.advance(1_500)
        task = await taken_task(world, dead)
        moves = [move_to(forever, queue), move_to(short, queue, retention_ms=1_000)]
        assert await world.redrives.advance(task, moves, Position(world.now, short), HOLD_MS) == 2
        assert [m.expires_at for m in await world.messages(queue)] == [None, world.now + ms(1_000)]
        world.advance(999)
        assert await world.store.expire(10) == 0
        world.advance(1)
        assert await world.store.expire(10) == 1
        assert [m.id for m in await world.messages(queue)] == [forever]

    async def test_a_fifo_target_gives_redriven_messages_in_their_order(self, world: World):
        queue, dead = await world.queue(settings=FIFO), await world.queue("dead", FIFO)
        ids = await dead_letters(world, queue, dead, *[message(group_id="a") for _ in range(4)])
        (later,) = await world.enqueue(queue, message(group_id="a"))
        task = await taken_task(world, dead)
        # The last ones first: it is the id that counts, not the step.
        for part in (ids[2:], ids[:2]):
            moves = [move_to(message_id, queue) for message_id in part]
            assert await world.redrives.advance(task, moves, Position(world.now, part[-1]), HOLD_MS) == 2
        first = await world.claim_one(queue)
        assert first.message.id == ids[0]
        assert await world.claim(queue) == []
        await world.ack(first.receipt)
        assert [d.message.id for d in await world.claim(queue)] == [*ids[1:], later]

    async def test_a_group_of_a_fifo_dlq_goes_on_with_what_was_not_moved(self, world: World):
        queue, dead = await world.queue(), await world.queue("dead", FIFO)
        ids = await world.enqueue(dead, *[message(group_id="a") for _ in range(3)])
        task = await taken_task(world, dead)
        assert await world.redrives.advance(task, [move_to(ids[0], queue)], Position(world.now, ids[0]), HOLD_MS) == 1
        assert [d.message.id for d in await world.claim(dead)] == ids[1:]
        (moved,) = await world.claim(queue)
        assert (moved.message.id, moved.message.group_id) == (ids[0], "a")
