"""Redrives: tasks that one node at a time carries out in guarded steps."""

import asyncio
from datetime import timedelta

import pytest

from sqslite.domain.errors import RedriveConflict
from sqslite.domain.leases import Refusal
from sqslite.domain.limits import RETENTION_FOREVER, ms
from sqslite.domain.messages import Message, NewMessage
from sqslite.domain.ports import Move, MoveToDlq, Position, RequeueAt
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.domain.redrive import Redrive, RedriveState
from tests.conformance.world import World, message

HOLD_MS = 5_000
FIFO = QueueSettings(fifo=True)
RUNNING, COMPLETED, CANCELLED = RedriveState.RUNNING, RedriveState.COMPLETED, RedriveState.CANCELLED


class Redriving:
    # Tasks

    async def test_a_new_task_has_an_id_of_its_own_and_the_time_of_the_store(self, world: World):
        dead = await world.queue("dead")
        asked = Redrive(
            queue="dead",
            partition_id=dead.partition_id,
            to="orders",
            max_per_second=7,
            limit=9,
            # The clock of a node that is wrong.
            created_at=world.now - timedelta(hours=1),
        )
        task = await world.redrives.create(asked)
        assert task == Redrive(
            id=task.id,
            queue="dead",
            partition_id=dead.partition_id,
            to="orders",
            max_per_second=7,
            limit=9,
            created_at=world.now,
        )
        other = await _task(world, await world.queue("other"))
        assert other.id != task.id > 0
        assert await world.redrives.page(dead.partition_id, 10) == [task]

    async def test_a_queue_has_one_running_task(self, world: World):
        dead = await world.queue("dead")
        for end in (
            lambda task: world.redrives.cancel(dead.partition_id, task.id),
            lambda task: world.redrives.finish(task, COMPLETED),
        ):
            task = await _task(world, dead)
            with pytest.raises(RedriveConflict):
                await _task(world, dead)
            await end(task)
        assert [task.state for task in await world.redrives.page(dead.partition_id, 10)] == [COMPLETED, CANCELLED]

    async def test_of_two_that_begin_at_once_one_does(self, world: World):
        dead = await world.queue("dead")
        outcomes = await asyncio.gather(*[_task(world, dead) for _ in range(4)], return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Redrive"] + ["RedriveConflict"] * 3

    async def test_a_page_shows_the_newest_tasks_of_its_queue_first(self, world: World):
        dead, other = await world.queue("dead"), await world.queue("other")
        assert await world.redrives.page(dead.partition_id, 10) == []
        ids = []
        for _ in range(3):
            task = await _task(world, dead)
            await world.redrives.finish(task, COMPLETED)
            ids.append(task.id)
            world.advance(1_000)
        await _task(world, other)
        assert [task.id for task in await world.redrives.page(dead.partition_id, 10)] == ids[::-1]
        assert [task.id for task in await world.redrives.page(dead.partition_id, 2)] == ids[:0:-1]

    async def test_a_running_task_can_be_cancelled_once(self, world: World):
        dead = await world.queue("dead")
        task = await _task(world, dead)
        world.advance(1_000)
        cancelled = await world.redrives.cancel(dead.partition_id, task.id)
        assert cancelled is not None
        assert (cancelled.id, cancelled.state, cancelled.ended_at) == (task.id, CANCELLED, world.now)
        world.advance(1_000)
        assert await world.redrives.cancel(dead.partition_id, task.id) == cancelled
        assert await world.redrives.page(dead.partition_id, 10) == [cancelled]

    async def test_a_finished_task_is_shown_as_it_is_to_those_who_cancel_it(self, world: World):
        dead = await world.queue("dead")
        task = await _task(world, dead)
        await world.redrives.finish(task, COMPLETED)
        ended_at = world.now
        world.advance(1_000)
        shown = await world.redrives.cancel(dead.partition_id, task.id)
        assert shown is not None
        assert (shown.state, shown.ended_at) == (COMPLETED, ended_at)

    async def test_there_is_no_task_to_cancel_in_another_queue(self, world: World):
        dead, other = await world.queue("dead"), await world.queue("other")
        task = await _task(world, dead)
        assert await world.redrives.cancel(other.partition_id, task.id) is None
        assert await world.redrives.cancel(dead.partition_id, task.id + 1) is None
        assert [one.state for one in await world.redrives.page(dead.partition_id, 10)] == [RUNNING]

    async def test_a_task_that_was_cancelled_is_not_finished(self, world: World):
        dead = await world.queue("dead")
        task = await _task(world, dead)
        cancelled = await world.redrives.cancel(dead.partition_id, task.id)
        world.advance(1_000)
        await world.redrives.finish(task, COMPLETED)
        assert await world.redrives.page(dead.partition_id, 10) == [cancelled]

    # Taking

    async def test_a_task_is_taken_by_one_node_until_its_hold_is_over(self, world: World):
        assert await world.redrives.take(HOLD_MS) is None
        task = await _task(world, await world.queue("dead"))
        first = await world.redrives.take(HOLD_MS)
        assert first is not None
        assert (first.id, first.taken, first.state) == (task.id, 1, RUNNING)
        world.advance(HOLD_MS - 1)
        assert await world.redrives.take(HOLD_MS) is None
        world.advance(1)
        second = await world.redrives.take(HOLD_MS)
        assert second is not None
        assert (second.id, second.taken) == (task.id, 2)
        world.advance(HOLD_MS - 1)
        assert await world.redrives.take(HOLD_MS) is None

    async def test_each_task_is_taken_by_one_of_those_who_look_at_once(self, world: World):
        ids = {(await _task(world, await world.queue(name))).id for name in ("one", "two")}
        takes = await asyncio.gather(*[world.redrives.take(HOLD_MS) for _ in range(5)])
        taken = [task.id for task in takes if task is not None]
        # Those who look at once may pass over what another one is taking just now.
        while (task := await world.redrives.take(HOLD_MS)) is not None:
            taken.append(task.id)
        assert sorted(taken) == sorted(ids)

    async def test_a_task_that_ended_is_not_taken(self, world: World):
        one, two = await world.queue("one"), await world.queue("two")
        await world.redrives.cancel(one.partition_id, (await _task(world, one)).id)
        await world.redrives.finish(await _task(world, two), COMPLETED)
        assert await world.redrives.take(HOLD_MS) is None

    # Candidates

    async def test_candidates_are_what_is_ready_in_its_order(self, world: World):
        dead = await world.queue("dead")
        delayed_until_now, *ready = await world.enqueue(dead, message(delay_ms=1_000), message(), message())
        await world.enqueue(dead, message(delay_ms=1_001))
        leased = await world.claim_one(dead)
        world.advance(1_000)
        task = await _taken(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        assert leased.message.id == ready[0]
        assert [one.id for one in candidates] == [ready[1], delayed_until_now]
        assert candidates == [one for one in sorted(await world.messages(dead), key=_due) if one in candidates]

    async def test_candidates_are_no_more_than_asked_for_and_behind_the_position(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        ids = await world.enqueue(dead, *[message() for _ in range(5)])
        world.advance(1_000)
        task = await _taken(world, dead)
        seen = []
        while candidates := await world.redrives.candidates(task, 2):
            assert len(candidates) <= 2
            seen += [one.id for one in candidates]
            await world.redrives.advance(task, [], _position(candidates[-1]), HOLD_MS)
            (task,) = await world.redrives.page(dead.partition_id, 1)
        assert seen == ids
        assert await world.messages(target) == []

    async def test_what_came_after_the_task_is_no_candidate(self, world: World):
        dead = await world.queue("dead")
        ids = await world.enqueue(dead)
        task = await _taken(world, dead)
        world.advance(1)
        await world.enqueue(dead)
        assert [one.id for one in await world.redrives.candidates(task, 10)] == ids

    async def test_what_has_outlived_its_retention_is_no_candidate(self, world: World):
        dead = await world.queue("dead")
        _, kept = await world.enqueue(dead, message(retention_ms=1_000), message(retention_ms=1_001))
        world.advance(1_000)
        task = await _taken(world, dead)
        assert [one.id for one in await world.redrives.candidates(task, 10)] == [kept]

    async def test_a_queue_that_was_renewed_has_no_candidates_for_an_old_task(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        await world.enqueue(dead)
        task = await _taken(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        await world.catalog.renew("dead")
        assert await world.redrives.candidates(task, 10) == []
        assert not await _advanced(world, task, target, *candidates)
        assert await world.messages(target) == []

    # Advancing

    async def test_a_step_moves_messages_and_keeps_count_and_position(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        ids = await world.enqueue(dead, *[message() for _ in range(3)])
        task = await _taken(world, dead)
        for moved, count in ((2, 2), (3, 1)):
            candidates = await world.redrives.candidates(task, 2)
            assert await _advanced(world, task, target, *candidates) == count
            (task,) = await world.redrives.page(dead.partition_id, 1)
            last = candidates[-1]
            assert (task.moved, task.position_at, task.position_id) == (moved, last.not_before, last.id)
            assert (task.state, task.taken) == (RUNNING, 1)
        assert await world.messages(dead) == []
        assert [one.id for one in await world.messages(target)] == ids

    async def test_a_step_may_go_on_without_moving_anything(self, world: World):
        dead = await world.queue("dead")
        (message_id,) = await world.enqueue(dead)
        task = await _taken(world, dead)
        position = Position(world.now, message_id)
        assert await world.redrives.advance(task, [], position, HOLD_MS) == 0
        (shown,) = await world.redrives.page(dead.partition_id, 1)
        assert (shown.moved, shown.position_at, shown.position_id) == (0, world.now, message_id)

    async def test_a_step_holds_the_task_from_now(self, world: World):
        dead = await world.queue("dead")
        task = await _taken(world, dead)
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
        task = await _taken(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        if end == "cancel":
            await world.redrives.cancel(dead.partition_id, task.id)
        else:
            await world.redrives.finish(task, COMPLETED)
        ended, before = await world.redrives.page(dead.partition_id, 10), await world.messages(dead)
        assert await _advanced(world, task, target, *candidates) is None
        assert await world.redrives.page(dead.partition_id, 10) == ended
        assert (await world.messages(dead), await world.messages(target)) == (before, [])

    async def test_a_node_that_lost_its_task_takes_no_step(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        ids = await world.enqueue(dead)
        lost = await _taken(world, dead)
        candidates = await world.redrives.candidates(lost, 10)
        world.advance(HOLD_MS)
        task = await world.redrives.take(HOLD_MS)
        assert task is not None
        assert await _advanced(world, lost, target, *candidates) is None
        assert await world.redrives.page(dead.partition_id, 10) == [task]
        assert ([one.id for one in await world.messages(dead)], await world.messages(target)) == (ids, [])
        assert await _advanced(world, task, target, *candidates) == 1

    async def test_a_node_whose_hold_is_over_goes_on_while_nobody_took_its_task(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        await world.enqueue(dead)
        task = await _taken(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        world.advance(HOLD_MS * 2)
        assert await _advanced(world, task, target, *candidates) == 1
        assert await world.redrives.take(HOLD_MS) is None

    async def test_what_is_no_longer_ready_is_passed_over(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        leased, delayed, gone, elsewhere, ready = await world.enqueue(dead, *[message() for _ in range(5)])
        task = await _taken(world, dead)
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
        assert await _advanced(world, task, target, *candidates) == 1
        assert [one.id for one in await world.messages(target)] == [ready]
        assert [one.id for one in await world.messages(dead)] == [leased, delayed]
        assert [one.id for one in await world.messages(other)] == [elsewhere]
        assert (await world.redrives.page(dead.partition_id, 1))[0].moved == 1
        # The lease of what was passed over is as it was.
        assert await world.ack(deliveries[leased].receipt) != [Refusal.STALE]

    @pytest.mark.parametrize("way", ["renew", "drop"])
    async def test_what_would_go_to_a_dropped_partition_stays(self, world: World, way: str):
        dead, gone, target = [await world.queue(name) for name in ("dead", "gone", "orders")]
        stays, goes = await world.enqueue(dead, message(), message())
        task = await _taken(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        before = (await world.messages(dead))[0]
        await (world.catalog.renew("gone") if way == "renew" else world.catalog.drop("gone"))
        moves = [_move(stays, gone), _move(goes, target)]
        assert await world.redrives.advance(task, moves, _position(candidates[-1]), HOLD_MS) == 1
        assert await world.messages(dead) == [before]
        assert [one.id for one in await world.messages(target)] == [goes]

    async def test_a_step_moves_each_to_a_target_of_its_own(self, world: World):
        dead, one, other = [await world.queue(name) for name in ("dead", "one", "other")]
        first, second, third = await world.enqueue(dead, message(), message(), message())
        task = await _taken(world, dead)
        moves = [_move(first, one), _move(second, other, dlq="dead"), _move(third, one, retention_ms=1_000)]
        assert await world.redrives.advance(task, moves, Position(world.now, third), HOLD_MS) == 3
        shown = [(m.id, m.dlq, m.expires_at) for queue in (one, other) for m in await world.messages(queue)]
        assert shown == [(first, None, None), (third, None, world.now + ms(1_000)), (second, "dead", None)]

    async def test_steps_taken_twice_at_once_move_each_message_once(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        ids = await world.enqueue(dead, *[message() for _ in range(6)])
        task = await _taken(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        steps = await asyncio.gather(*[_advanced(world, task, target, *candidates) for _ in range(3)])
        assert sorted(step or 0 for step in steps) == [0, 0, 6]
        assert [one.id for one in await world.messages(target)] == ids
        assert (await world.redrives.page(dead.partition_id, 1))[0].moved == 6

    # What becomes of a message

    async def test_a_redriven_message_starts_anew_and_is_what_it_was(self, world: World):
        sent = message(
            b'"\\u00e9"', attributes={"k": "v"}, group_id="g", trace_id="t", max_retries=2, retention_ms=60_000
        )
        queue, dead = await world.queue(), await world.queue("dead")
        enqueued_at = world.now
        (message_id,) = await _dead_letters(world, queue, dead, sent)
        in_dead = await world.claim_one(dead, 1_000)
        assert in_dead.message.fence == 2
        world.advance(1_000)
        await world.requeue_expired(error="dead twice")
        task = await _taken(world, dead)
        (candidate,) = await world.redrives.candidates(task, 10)
        assert (candidate.origin_queue, candidate.delivery_count) == ("orders", 1)
        moves = [_move(message_id, queue, dlq="dead", retention_ms=7_000)]
        assert await world.redrives.advance(task, moves, _position(candidate), HOLD_MS) == 1
        assert await world.messages(queue) == [
            Message(
                id=message_id,
                body=sent.body,
                body_kind=sent.body_kind,
                attributes={"k": "v"},
                enqueued_at=enqueued_at,
                not_before=world.now,
                lease_until=None,
                expires_at=world.now + ms(7_000),
                delivery_count=0,
                deliveries_before=2,
                max_retries=2,
                dlq="dead",
                trace_id="t",
                group_id="g",
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
        task = await _taken(world, dead)
        assert await _advanced(world, task, queue, *await world.redrives.candidates(task, 10)) == 1
        (outcome,) = await world.ack(old.receipt)
        assert isinstance(outcome, Refusal)
        assert [one.id for one in await world.messages(queue)] == [message_id]

    async def test_retention_counts_anew_in_the_target(self, world: World):
        queue, dead = await world.queue(), await world.queue("dead")
        forever, short = await world.enqueue(dead, message(retention_ms=2_000), message(retention_ms=2_000))
        world.advance(1_500)
        task = await _taken(world, dead)
        moves = [_move(forever, queue), _move(short, queue, retention_ms=1_000)]
        assert await world.redrives.advance(task, moves, Position(world.now, short), HOLD_MS) == 2
        assert [m.expires_at for m in await world.messages(queue)] == [None, world.now + ms(1_000)]
        world.advance(999)
        assert await world.store.expire(10) == 0
        world.advance(1)
        assert await world.store.expire(10) == 1
        assert [m.id for m in await world.messages(queue)] == [forever]

    async def test_a_fifo_target_gives_redriven_messages_in_their_order(self, world: World):
        queue, dead = await world.queue(settings=FIFO), await world.queue("dead", FIFO)
        ids = await _dead_letters(world, queue, dead, *[message(group_id="a") for _ in range(4)])
        (later,) = await world.enqueue(queue, message(group_id="a"))
        task = await _taken(world, dead)
        # The last ones first: it is the id that counts, not the step.
        for part in (ids[2:], ids[:2]):
            moves = [_move(message_id, queue) for message_id in part]
            assert await world.redrives.advance(task, moves, Position(world.now, part[-1]), HOLD_MS) == 2
        first = await world.claim_one(queue)
        assert first.message.id == ids[0]
        assert await world.claim(queue) == []
        await world.ack(first.receipt)
        assert [d.message.id for d in await world.claim(queue)] == [*ids[1:], later]

    async def test_a_group_of_a_fifo_dlq_goes_on_with_what_was_not_moved(self, world: World):
        queue, dead = await world.queue(), await world.queue("dead", FIFO)
        ids = await world.enqueue(dead, *[message(group_id="a") for _ in range(3)])
        task = await _taken(world, dead)
        assert await world.redrives.advance(task, [_move(ids[0], queue)], Position(world.now, ids[0]), HOLD_MS) == 1
        assert [d.message.id for d in await world.claim(dead)] == ids[1:]
        (moved,) = await world.claim(queue)
        assert (moved.message.id, moved.message.group_id) == (ids[0], "a")


def _due(one: Message):
    return one.not_before, one.id


def _position(one: Message) -> Position:
    return Position(one.not_before, one.id)


def _move(message_id: int, target: Queue, dlq: str | None = None, retention_ms: int = RETENTION_FOREVER) -> Move:
    return Move(message_id=message_id, target=target, dlq=dlq, retention_ms=retention_ms)


async def _task(world: World, queue: Queue) -> Redrive:
    return await world.redrives.create(Redrive(queue=queue.name, partition_id=queue.partition_id, created_at=world.now))


async def _taken(world: World, queue: Queue) -> Redrive:
    """A new task of the queue, in the hands of a node."""
    await _task(world, queue)
    task = await world.redrives.take(HOLD_MS)
    assert task is not None
    return task


async def _advanced(world: World, task: Redrive, target: Queue, *candidates: Message) -> int | None:
    moves = [_move(one.id, target) for one in candidates]
    return await world.redrives.advance(task, moves, _position(candidates[-1]), HOLD_MS)


async def _dead_letters(world: World, queue: Queue, dlq: Queue, *messages: NewMessage) -> list[int]:
    """Ids of messages that were delivered in the queue once and then dead-lettered."""
    ids = await world.enqueue(queue, *messages)
    receipts = [delivery.receipt for delivery in await world.claim(queue)]
    held = await world.store.held(queue.partition_id, receipts)
    moves = [
        MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER) for lease in held.leases if not isinstance(lease, Refusal)
    ]
    assert await world.store.settle(queue.partition_id, moves) == [True] * len(ids)
    return ids
