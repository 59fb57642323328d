"""Redriving: tasks that are cancelled, nodes that die, and errors: the task is carried out once in the end."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from sqslite.domain.errors import (
    OutcomeUnknown,
    RedriveConflict,
    RedriveNotFound,
    StoreUnavailable,
)
from sqslite.domain.limits import ms
from sqslite.domain.redriving import HOLD_MS, LOOK_EVERY_MS
from tests.unit.node import Node, node
from tests.unit.redrives import CANCELLED, COMPLETED, carrying, dead_letters, ids_in, latest


@pytest.fixture
def own() -> Node:
    return node()


# Cancelling


async def test_a_cancelled_task_stops_between_two_steps_and_what_was_moved_stays_moved(own: Node):
    ids = await dead_letters(own, 10)
    started = await own.redriving.start("dead", max_per_second=2)
    async with carrying(own):
        await own.advance(1_500)
        cancelled = await own.redriving.cancel("dead", started.id)
        assert (cancelled.state, cancelled.moved, cancelled.ended_at) == (CANCELLED, 4, own.clock.now())
        await own.advance(20_000)
        assert await latest(own) == cancelled
    assert (await ids_in(own, "orders"), await ids_in(own, "dead")) == (ids[:4], ids[4:])
    assert own.observer.redriven_count == 4
    assert own.observer.failures == []


async def test_after_a_cancelled_task_another_goes_on(own: Node):
    ids = await dead_letters(own, 5)
    started = await own.redriving.start("dead", max_per_second=1)
    async with carrying(own):
        await own.redriving.cancel("dead", started.id)
        await own.redriving.start("dead")
        await own.advance(LOOK_EVERY_MS)
        assert (await latest(own)).state is COMPLETED
    assert await ids_in(own, "orders") == ids


async def test_what_cannot_be_cancelled_is_told_why(own: Node):
    await dead_letters(own)
    await own.create("other")
    started = await own.redriving.start("dead")
    with pytest.raises(RedriveNotFound, match=r"^redrive 99 does not exist$"):
        await own.redriving.cancel("dead", 99)
    with pytest.raises(RedriveNotFound):
        await own.redriving.cancel("other", started.id)


async def test_to_cancel_twice_is_to_cancel(own: Node):
    await dead_letters(own)
    started = await own.redriving.start("dead")
    cancelled = await own.redriving.cancel("dead", started.id)
    own.shift(1_000)
    assert await own.redriving.cancel("dead", started.id) == cancelled
    assert cancelled.state is CANCELLED


async def test_a_cancel_that_comes_too_late_is_told_so(own: Node):
    await dead_letters(own)
    started = await own.redriving.start("dead")
    async with carrying(own):
        pass
    with pytest.raises(RedriveConflict, match=rf"^redrive {started.id} is completed already$"):
        await own.redriving.cancel("dead", started.id)


async def test_a_purge_ends_the_task(own: Node):
    await dead_letters(own, 10)
    await own.redriving.start("dead", max_per_second=1)
    async with carrying(own):
        await own.advance(1_500)
        moved = own.observer.redriven_count
        await own.administration.purge("dead")
        fresh = await own.enqueue(queue="dead")
        await own.advance(10_000)
    assert own.observer.redriven_count == moved
    assert await ids_in(own, "dead") == fresh


# Nodes that die, and errors


async def test_a_neighbour_takes_the_task_over_when_its_node_dies(own: Node):
    other = own.neighbour()
    ids = await dead_letters(own, 20)
    await own.redriving.start("dead", max_per_second=1)
    async with carrying(own, other) as (killed, _):
        await own.advance(2_500)
        assert (own.observer.redriven_count, other.observer.redriven_count) == (3, 0)
        killed.cancel()
        await own.advance(HOLD_MS - 1_000)
        assert other.observer.redriven_count == 0
        await own.advance(1_000 + LOOK_EVERY_MS)
        assert other.observer.redriven_count > 0
        await own.advance(30_000)
        task = await latest(own)
    assert (task.state, task.moved, task.taken) == (COMPLETED, 20, 2)
    assert (await ids_in(own, "orders"), await ids_in(own, "dead")) == (ids, [])
    assert own.observer.redriven_count + other.observer.redriven_count == 20


async def test_two_nodes_do_not_carry_out_the_same_task(own: Node):
    other = own.neighbour()
    ids = await dead_letters(own, 30)
    await own.redriving.start("dead", max_per_second=2)
    async with carrying(own, other):
        await own.advance(20_000)
        assert (await latest(own)).taken == 1
    assert await ids_in(own, "orders") == ids
    assert sorted([own.observer.redriven_count, other.observer.redriven_count]) == [0, 30]


async def test_a_node_that_was_away_for_too_long_finds_its_task_taken_and_lets_it_go(own: Node):
    other = own.neighbour()
    ids = await dead_letters(own, 6)
    await own.redriving.start("dead", max_per_second=2)
    stale = await own.backend.redrives.take(HOLD_MS)
    own.shift(HOLD_MS)
    fresh = await own.backend.redrives.take(HOLD_MS)
    assert await own.redriving.step(stale) is None
    assert await ids_in(own, "orders") == []
    assert (await other.redriving.step(fresh)).moved == 2
    assert await ids_in(own, "orders") == ids[:2]
    assert own.observer.redriven_count == 0


class Failing:
    """Redrives whose calls fail as planned: by method, the errors to come."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.errors: dict[str, list[Exception]] = {}
        self.done_though_failed = False

    def __getattr__(self, method: str) -> Callable:
        async def call(*arguments: object) -> object:
            if not self.errors.get(method):
                return await getattr(self._inner, method)(*arguments)
            if self.done_though_failed:
                await getattr(self._inner, method)(*arguments)
            raise self.errors[method].pop(0)

        return call


def frail() -> tuple[Node, Failing]:
    own = node()
    failing = Failing(own.backend.redrives)
    own.redriving._redrives = failing
    return own, failing


@pytest.mark.parametrize("method", ["take", "candidates", "advance", "finish"])
@pytest.mark.parametrize(
    "error", [StoreUnavailable("away"), OutcomeUnknown("lost"), ZeroDivisionError("a bug in the store")]
)
@pytest.mark.parametrize("done", [False, True])
async def test_an_error_is_told_and_the_task_is_carried_out_all_the_same(method: str, error: Exception, done: bool):
    own, failing = frail()
    ids = await dead_letters(own, 3)
    failing.errors[method] = [error]
    failing.done_though_failed = done
    await own.redriving.start("dead")
    async with carrying(own):
        assert own.observer.failures == [(error, LOOK_EVERY_MS)]
        await own.advance(HOLD_MS + LOOK_EVERY_MS)
        task = await latest(own)
    assert (task.state, task.moved) == (COMPLETED, 3)
    assert (await ids_in(own, "orders"), await ids_in(own, "dead")) == (ids, [])
    assert own.observer.failures == [(error, LOOK_EVERY_MS)]


async def test_a_task_that_fails_again_and_again_does_not_make_a_busy_loop():
    own, failing = frail()
    await dead_letters(own)
    await own.redriving.start("dead")
    failing.errors["candidates"] = [StoreUnavailable("away") for _ in range(100)]
    instants = []
    own.observer.redrive_failed = lambda error, retry_in_ms: instants.append(own.clock.now())
    async with carrying(own):
        await own.advance(60_000)
    assert len(instants) > 5
    assert all(later - sooner >= ms(LOOK_EVERY_MS) for sooner, later in pairwise(instants))


async def test_a_task_that_fails_does_not_end_those_beside_it():
    own, failing = frail()
    await dead_letters(own, 5)
    await dead_letters(own, 5, dlq="other")
    for queue in ("dead", "other"):
        await own.redriving.start(queue, max_per_second=1)
    async with carrying(own):
        failing.errors["advance"] = [StoreUnavailable("away")]
        await own.advance(20_000)
        for queue in ("dead", "other"):
            assert ((await latest(own, queue)).state, (await latest(own, queue)).moved) == (COMPLETED, 5)
    assert len(own.observer.failures) == 1


async def test_a_message_whose_target_is_purged_meanwhile_is_not_lost(own: Node):
    class Purging:
        async def advance(self, *arguments: object) -> int | None:
            await own.neighbour().administration.purge("orders")
            return await own.backend.redrives.advance(*arguments)

        def __getattr__(self, method: str) -> object:
            return getattr(own.backend.redrives, method)

    ids = await dead_letters(own)
    own.redriving._redrives = Purging()
    await own.redriving.start("dead")
    async with carrying(own):
        assert ((await latest(own)).state, (await latest(own)).moved) == (COMPLETED, 0)
    assert await ids_in(own, "dead") == ids
