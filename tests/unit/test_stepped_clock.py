"""The clock that runs and can be set forward: who sleeps on it wakes when the time has come, passed or skipped."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sqslite.adapters.clock import SteppedClock

HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=5)


def near(instant: datetime) -> bool:
    return abs(datetime.now(UTC) - instant) < MOMENT


async def asleep(clock: SteppedClock, duration: timedelta) -> asyncio.Task[None]:
    task = asyncio.create_task(clock.sleep_until(clock.now() + duration))
    await asyncio.sleep(0)
    return task


async def test_it_runs_like_the_systems_and_wakes_whose_time_has_passed():
    clock = SteppedClock()
    assert near(clock.now())
    await asyncio.wait_for(clock.sleep_until(clock.now() + timedelta(milliseconds=2)), 5)


async def test_a_step_wakes_whose_time_it_skips_and_nobody_else():
    clock = SteppedClock()
    soon, late = await asleep(clock, HOUR), await asleep(clock, 3 * HOUR)
    clock.step(2 * HOUR)
    await asyncio.wait_for(soon, 5)
    assert not late.done()
    assert near(clock.now() - 2 * HOUR)
    clock.step(HOUR)
    await asyncio.wait_for(late, 5)


async def test_frozen_it_moves_by_steps_only():
    clock = SteppedClock()
    sleeper = await asleep(clock, timedelta(milliseconds=1))
    clock.freeze()
    stood = clock.now()
    await asyncio.sleep(0.01)
    assert (clock.now(), clock.frozen) == (stood, True)
    clock.step(HOUR)
    assert clock.now() == stood + HOUR
    await asyncio.wait_for(sleeper, 5)


async def test_it_goes_on_from_where_it_stood():
    clock = SteppedClock()
    clock.freeze()
    clock.freeze()
    clock.step(HOUR)
    stood = clock.now()
    clock.run()
    assert stood <= clock.now() < stood + MOMENT
    assert not clock.frozen
    # A clock that runs already is left alone.
    clock.run()
    assert stood <= clock.now() < stood + MOMENT


async def test_who_sleeps_while_it_is_frozen_wakes_when_it_runs_again():
    clock = SteppedClock()
    clock.freeze()
    sleeper = await asleep(clock, timedelta(milliseconds=1))
    clock.run()
    await asyncio.wait_for(sleeper, 5)


async def test_reset_it_is_the_systems_again():
    clock = SteppedClock()
    clock.step(HOUR)
    clock.freeze()
    clock.reset()
    assert near(clock.now())
    assert not clock.frozen


def test_time_goes_forward_only():
    with pytest.raises(ValueError, match="forward only"):
        SteppedClock().step(-HOUR)
