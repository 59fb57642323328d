"""Redrives: tasks, who holds them, and what they would move next."""

import asyncio
from datetime import timedelta

import pytest

from sqslite.domain.errors import RedriveConflict
from sqslite.domain.redrive import Redrive
from tests.conformance.tasks import (
    CANCELLED,
    COMPLETED,
    FAILED,
    HOLD_MS,
    RUNNING,
    advanced,
    begun_task,
    due,
    position_of,
    taken_task,
)
from tests.conformance.world import World, message


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
            to_move=8,
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
            to_move=8,
            created_at=world.now,
        )
        other = await begun_task(world, await world.queue("other"))
        assert other.id != task.id > 0
        assert await world.redrives.page(dead.partition_id, 10) == [task]

    async def test_a_queue_has_one_running_task(self, world: World):
        dead = await world.queue("dead")
        for end in (
            lambda task: world.redrives.cancel(dead.partition_id, task.id),
            lambda task: world.redrives.finish(task, COMPLETED),
            lambda task: world.redrives.finish(task, FAILED),
        ):
            task = await begun_task(world, dead)
            with pytest.raises(RedriveConflict):
                await begun_task(world, dead)
            await end(task)
        assert [task.state for task in await world.redrives.page(dead.partition_id, 10)] == [
            FAILED,
            COMPLETED,
            CANCELLED,
        ]

    async def test_of_two_that_begin_at_once_one_does(self, world: World):
        dead = await world.queue("dead")
        outcomes = await asyncio.gather(*[begun_task(world, dead) for _ in range(4)], return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Redrive"] + ["RedriveConflict"] * 3

    async def test_a_page_shows_the_newest_tasks_of_its_queue_first(self, world: World):
        dead, other = await world.queue("dead"), await world.queue("other")
        assert await world.redrives.page(dead.partition_id, 10) == []
        ids = []
        for _ in range(3):
            task = await begun_task(world, dead)
            await world.redrives.finish(task, COMPLETED)
            ids.append(task.id)
            world.advance(1_000)
        await begun_task(world, other)
        assert [task.id for task in await world.redrives.page(dead.partition_id, 10)] == ids[::-1]
        assert [task.id for task in await world.redrives.page(dead.partition_id, 2)] == ids[:0:-1]

    async def test_a_running_task_can_be_cancelled_once(self, world: World):
        dead = await world.queue("dead")
        task = await begun_task(world, dead)
        world.advance(1_000)
        cancelled = await world.redrives.cancel(dead.partition_id, task.id)
        assert cancelled is not None
        assert (cancelled.id, cancelled.state, cancelled.ended_at) == (task.id, CANCELLED, world.now)
        world.advance(1_000)
        assert await world.redrives.cancel(dead.partition_id, task.id) == cancelled
        assert await world.redrives.page(dead.partition_id, 10) == [cancelled]

    async def test_a_finished_task_is_shown_as_it_is_to_those_who_cancel_it(self, world: World):
        dead = await world.queue("dead")
        task = await begun_task(world, dead)
        await world.redrives.finish(task, COMPLETED)
        ended_at = world.now
        world.advance(1_000)
        shown = await world.redrives.cancel(dead.partition_id, task.id)
        assert shown is not None
        assert (shown.state, shown.ended_at) == (COMPLETED, ended_at)

    async def test_there_is_no_task_to_cancel_in_another_queue(self, world: World):
        dead, other = await world.queue("dead"), await world.queue("other")
        task = await begun_task(world, dead)
        assert await world.redrives.cancel(other.partition_id, task.id) is None
        assert await world.redrives.cancel(dead.partition_id, task.id + 1) is None
        assert [one.state for one in await world.redrives.page(dead.partition_id, 10)] == [RUNNING]

    async def test_a_task_that_was_cancelled_is_not_finished(self, world: World):
        dead = await world.queue("dead")
        task = await begun_task(world, dead)
        cancelled = await world.redrives.cancel(dead.partition_id, task.id)
        world.advance(1_000)
        await world.redrives.finish(task, COMPLETED)
        assert await world.redrives.page(dead.partition_id, 10) == [cancelled]

    # Taking

    async def test_a_task_is_taken_by_one_node_until_its_hold_is_over(self, world: World):
        assert await world.redrives.take(HOLD_MS) is None
        task = await begun_task(world, await world.queue("dead"))
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
        ids = {(await begun_task(world, await world.queue(name))).id for name in ("one", "two")}
        takes = await asyncio.gather(*[world.redrives.take(HOLD_MS) for _ in range(5)])
        taken = [task.id for task in takes if task is not None]
        # Those who look at once may pass over what another one is taking just now.
        while (task := await world.redrives.take(HOLD_MS)) is not None:
            taken.append(task.id)
        assert sorted(taken) == sorted(ids)

    async def test_a_task_that_ended_is_not_taken(self, world: World):
        one, two = await world.queue("one"), await world.queue("two")
        await world.redrives.cancel(one.partition_id, (await begun_task(world, one)).id)
        await world.redrives.finish(await begun_task(world, two), COMPLETED)
        assert await world.redrives.take(HOLD_MS) is None

    # Candidates

    async def test_candidates_are_what_is_ready_in_its_order(self, world: World):
        dead = await world.queue("dead")
        delayed_until_now, *ready = await world.enqueue(dead, message(delay_ms=1_000), message(), message())
        await world.enqueue(dead, message(delay_ms=1_001))
        leased = await world.claim_one(dead)
        world.advance(1_000)
        task = await taken_task(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        assert leased.message.id == ready[0]
        assert [one.id for one in candidates] == [ready[1], delayed_until_now]
        assert candidates == [one for one in sorted(await world.messages(dead), key=due) if one in candidates]

    async def test_candidates_are_no_more_than_asked_for_and_behind_the_position(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        ids = await world.enqueue(dead, *[message() for _ in range(5)])
        world.advance(1_000)
        task = await taken_task(world, dead)
        seen = []
        while candidates := await world.redrives.candidates(task, 2):
            assert len(candidates) <= 2
            seen += [one.id for one in candidates]
            await world.redrives.advance(task, [], position_of(candidates[-1]), HOLD_MS)
            (task,) = await world.redrives.page(dead.partition_id, 1)
        assert seen == ids
        assert await world.messages(target) == []

    async def test_what_came_after_the_task_is_no_candidate(self, world: World):
        dead = await world.queue("dead")
        ids = await world.enqueue(dead)
        task = await taken_task(world, dead)
        world.advance(1)
        await world.enqueue(dead)
        assert [one.id for one in await world.redrives.candidates(task, 10)] == ids

    async def test_what_has_outlived_its_retention_is_no_candidate(self, world: World):
        dead = await world.queue("dead")
        _, kept = await world.enqueue(dead, message(retention_ms=1_000), message(retention_ms=1_001))
        world.advance(1_000)
        task = await taken_task(world, dead)
        assert [one.id for one in await world.redrives.candidates(task, 10)] == [kept]

    async def test_of_a_queue_that_was_dropped_no_task_is_left(self, world: World):
        dead, other = await world.queue("dead"), await world.queue("other")
        await world.redrives.finish(await begun_task(world, dead), COMPLETED)
        task, stays = await taken_task(world, dead), await begun_task(world, other)
        await world.catalog.drop("dead")
        for _ in range(2):
            while await world.store.tidy(1):
                pass
            # Beyond the time that late transactions are waited for.
            world.advance(120_000)
        assert await world.redrives.page(dead.partition_id, 10) == []
        assert await world.redrives.page(other.partition_id, 10) == [stays]
        # A node that has not noticed yet.
        await world.redrives.finish(task, COMPLETED)
        assert await world.redrives.cancel(dead.partition_id, task.id) is None
        assert await world.redrives.page(dead.partition_id, 10) == []

    async def test_a_queue_that_was_renewed_has_no_candidates_for_an_old_task(self, world: World):
        dead, target = await world.queue("dead"), await world.queue()
        await world.enqueue(dead)
        task = await taken_task(world, dead)
        candidates = await world.redrives.candidates(task, 10)
        await world.catalog.renew("dead")
        assert await world.redrives.candidates(task, 10) == []
        assert not await advanced(world, task, target, *candidates)
        assert await world.messages(target) == []
