"""Wake-ups within a process: who is woken, in what order, and what is kept of those who left."""

import asyncio
from collections.abc import Sequence

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.wakeups import local
from sqslite.adapters.wakeups.local import LOOK_EVERY_MS, LocalWakeups
from sqslite.domain.errors import Overloaded, StoreUnavailable
from sqslite.domain.limits import ms

TURNS = 50
HOUR_MS = 3_600_000


async def settled() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


class Line:
    """Waiters of one queue; `woken` lists their names in the order they came back."""

    def __init__(self, names: str) -> None:
        self.clock = VirtualClock()
        self.wakeups = LocalWakeups(self.clock)
        self.woken: list[str] = []
        self.tasks = {name: asyncio.ensure_future(self._wait(name)) for name in names}

    async def _wait(self, name: str) -> None:
        with self.wakeups.watching("orders") as watch:
            await watch.wait(self.clock.now() + ms(HOUR_MS))
            self.woken.append(name)

    async def notified(self, count: int, queue: str = "orders") -> str:
        await settled()
        self.wakeups.notify(queue, count)
        await settled()
        return "".join(self.woken)


async def test_as_many_are_woken_as_messages_came_and_the_longest_waiting_first():
    line = Line("abcd")
    assert await line.notified(0) == ""
    assert await line.notified(-1) == ""
    assert await line.notified(2, "other") == ""
    assert await line.notified(1) == "a"
    assert await line.notified(2) == "abc"
    assert await line.notified(5) == "abcd"
    assert all(task.done() for task in line.tasks.values())


async def test_notices_that_come_at_once_wake_different_waiters():
    line = Line("abc")
    await settled()
    line.wakeups.notify("orders", 1)
    line.wakeups.notify("orders", 1)
    await settled()
    assert line.woken == ["a", "b"]
    line.tasks["c"].cancel()


async def test_what_comes_before_the_wait_is_not_missed():
    clock = VirtualClock()
    wakeups = LocalWakeups(clock)
    with wakeups.watching("orders") as watch:
        wakeups.notify("orders", 1)
        await asyncio.wait_for(watch.wait(clock.now() + ms(HOUR_MS)), 1)
        again = asyncio.ensure_future(watch.wait(clock.now() + ms(HOUR_MS)))
        await settled()
        assert not again.done()
        wakeups.notify("orders", 1)
        await asyncio.wait_for(again, 1)


async def test_nothing_comes_between_a_wake_up_and_the_look():
    line = Line("a")
    await settled()
    line.wakeups.notify("orders", 1)
    await asyncio.sleep(0)
    assert line.woken == ["a"]


async def test_a_waiter_that_leaves_without_looking_hands_its_wake_up_on():
    line = Line("ab")
    await settled()
    line.wakeups.notify("orders", 1)
    line.tasks["a"].cancel()
    await settled()
    assert line.woken == ["b"]


async def test_a_wake_up_is_passed_on_to_the_longest_waiting_of_the_others():
    line = Line("abc")
    await settled()
    with line.wakeups.watching("orders") as last, line.wakeups.watching("other") as elsewhere:
        for woken in ("a", "ab", "abc", "abc"):
            last.pass_on()
            await settled()
            assert "".join(line.woken) == woken
        assert not last.woken
        assert not elsewhere.woken


async def test_a_wake_up_that_is_passed_on_by_the_first_in_line_goes_to_the_second():
    wakeups = LocalWakeups(VirtualClock())
    with wakeups.watching("orders") as first, wakeups.watching("orders") as second:
        first.pass_on()
        assert (first.woken, second.woken) == (False, True)


async def test_a_wait_ends_at_its_time_without_a_notice():
    clock = VirtualClock()
    wakeups = LocalWakeups(clock)
    with wakeups.watching("orders") as watch:
        waiting = asyncio.ensure_future(watch.wait(clock.now() + ms(500)))
        await settled()
        await clock.advance(ms(499))
        assert not waiting.done()
        await clock.advance(ms(1))
        assert waiting.done()


async def test_the_longest_waiting_looks_each_second_whoever_else_waits():
    line = Line("abc")
    await settled()
    await line.clock.advance(ms(LOOK_EVERY_MS - 1))
    assert line.woken == []
    await line.clock.advance(ms(1))
    assert line.woken == ["a"]
    await line.clock.advance(ms(LOOK_EVERY_MS))
    assert line.woken == ["a", "b"]
    await line.clock.advance(ms(LOOK_EVERY_MS))
    assert LOOK_EVERY_MS <= 1_000


async def test_one_look_a_second_serves_all_queues_and_wakes_on_those_that_have_something():
    clock = VirtualClock()
    looked: list[list[str]] = []

    async def look(queues: Sequence[str]) -> list[str]:
        looked.append(sorted(queues))
        return ["b"]

    wakeups = LocalWakeups(clock, look)
    with wakeups.watching("a") as a, wakeups.watching("b") as first, wakeups.watching("b") as second:
        await settled()
        await clock.advance(ms(LOOK_EVERY_MS - 1))
        assert looked == []
        await clock.advance(ms(1))
        assert looked == [["a", "b"]]
        assert (a.woken, first.woken, second.woken) == (False, True, False)
    with wakeups.watching("c"):
        await settled()
        await clock.advance(ms(LOOK_EVERY_MS))
    assert looked[1:] == [["c"]]


async def test_waiters_look_for_themselves_where_the_look_fails():
    clock = VirtualClock()

    async def look(queues: Sequence[str]) -> list[str]:
        raise StoreUnavailable("down")

    wakeups = LocalWakeups(clock, look)
    with wakeups.watching("a") as a, wakeups.watching("b") as b:
        for _ in range(2):
            await settled()
            await clock.advance(ms(LOOK_EVERY_MS))
            assert a.woken
            assert b.woken
            await a.wait(clock.now())
            await b.wait(clock.now())
            assert not a.woken


async def test_looks_that_have_become_slow_come_less_often():
    clock = VirtualClock()
    looked = 0

    async def look(queues: Sequence[str]) -> list[str]:
        nonlocal looked
        looked += 1
        clock.shift(ms(100))
        return []

    wakeups = LocalWakeups(clock, look)
    with wakeups.watching("a"):
        await settled()
        await clock.advance(ms(LOOK_EVERY_MS))
        assert looked == 1
        await clock.advance(ms(50 * local.REST_PER_LOOK + LOOK_EVERY_MS // 2))
        assert looked == 1
        await clock.advance(ms(50 * local.REST_PER_LOOK))
        assert looked == 2


async def test_release_wakes_everybody_for_the_last_time_and_lets_nobody_wait_any_more():
    line = Line("abc")
    await settled()
    with line.wakeups.watching("other") as other:
        assert not other.over
        line.wakeups.release_waiters()
        await settled()
        assert line.woken == ["a", "b", "c"]
        assert other.over
        await asyncio.wait_for(other.wait(line.clock.now() + ms(HOUR_MS)), 1)
    with line.wakeups.watching("orders") as late:
        assert late.over
        await asyncio.wait_for(late.wait(line.clock.now() + ms(HOUR_MS)), 1)


async def test_the_longest_waiting_of_every_queue_looks_when_notices_may_have_been_missed():
    line = Line("ab")
    await settled()
    with line.wakeups.watching("other") as other:
        line.wakeups.notify_every_queue()
        await settled()
        assert line.woken == ["a"]
        assert other.woken
    line.tasks["b"].cancel()


async def test_nothing_is_kept_of_a_queue_nobody_waits_for():
    before = asyncio.all_tasks()
    wakeups = LocalWakeups(VirtualClock())
    for n in range(100):
        wakeups.notify(f"q{n}", 1)
        with wakeups.watching(f"q{n}"), wakeups.watching(f"q{n}"):
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks() - before) == 1
        await settled()
    assert asyncio.all_tasks() == before
    assert not wakeups._watches
    assert wakeups._looking is None


async def test_a_bounded_number_may_wait_and_who_leaves_makes_room(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local, "WAITERS_MAX", 2)
    wakeups = LocalWakeups(VirtualClock())
    for _ in range(3):
        with wakeups.watching("a"), wakeups.watching("b"), pytest.raises(Overloaded), wakeups.watching("c"):
            raise AssertionError("there is no room")
    assert not wakeups._watches
