"""Clocks: one stands still until a test moves it, the other is the machine's."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqslite.adapters.clock import SystemClock, VirtualClock
from sqslite.adapters.entropy import SeededEntropy, SystemEntropy
from sqslite.domain.leases import SECRET_BYTES
from sqslite.domain.limits import ms


async def _sleeper(clock: VirtualClock, name: str, wake_at: datetime, woken: list[tuple[str, datetime]]) -> None:
    await clock.sleep_until(wake_at)
    woken.append((name, clock.now()))


async def test_sleepers_wake_in_order_each_at_its_own_instant():
    clock, woken = VirtualClock(), []
    start = clock.now()
    plan = [("c", 300), ("a", 100), ("b", 200), ("b2", 200), ("never", 401)]
    sleepers = [asyncio.create_task(_sleeper(clock, name, start + ms(after_ms), woken)) for name, after_ms in plan]
    await clock.advance(ms(0))
    assert woken == []
    await clock.advance(ms(400))
    assert woken == [(name, start + ms(n)) for name, n in (("a", 100), ("b", 200), ("b2", 200), ("c", 300))]
    assert clock.now() == start + ms(400)
    sleepers[-1].cancel()


async def test_a_woken_sleeper_may_sleep_again_within_one_advance():
    clock, woken = VirtualClock(), []
    start = clock.now()

    async def tick() -> None:
        for _ in range(3):
            await _sleeper(clock, "tick", clock.now() + ms(100), woken)

    ticking = asyncio.create_task(tick())
    await clock.advance(ms(0))
    await clock.advance(ms(1_000))
    assert [instant for _, instant in woken] == [start + ms(n) for n in (100, 200, 300)]
    assert ticking.done()


async def test_an_instant_that_has_come_needs_no_advance():
    clock = VirtualClock()
    await clock.sleep_until(clock.now())
    await clock.sleep_until(clock.now() - timedelta(days=1))


async def test_a_shift_wakes_nobody_and_time_never_goes_back():
    clock, woken = VirtualClock(), []
    start = clock.now()
    sleeping = asyncio.create_task(_sleeper(clock, "a", start + ms(100), woken))
    await clock.advance(ms(0))
    clock.shift(ms(5_000))
    await asyncio.sleep(0)
    assert woken == []
    await clock.advance(ms(1))
    assert woken == [("a", start + ms(5_000))]
    assert clock.now() == start + ms(5_001)
    assert sleeping.done()


async def test_a_cancelled_sleeper_is_passed_over():
    clock, woken = VirtualClock(), []
    sleepers = [asyncio.create_task(_sleeper(clock, name, clock.now() + ms(10), woken)) for name in ("a", "b")]
    await clock.advance(ms(0))
    sleepers[0].cancel()
    await clock.advance(ms(10))
    assert [name for name, _ in woken] == ["b"]


async def test_the_system_clock_tells_aware_utc_that_moves_on():
    clock = SystemClock()
    before = clock.now()
    assert before.utcoffset() == timedelta(0)
    await clock.sleep_until(before + ms(5))
    assert clock.now() >= before + ms(5)
    assert abs(datetime.now(UTC) - clock.now()) < timedelta(minutes=1)


async def test_the_system_clock_does_not_sleep_for_the_past():
    clock = SystemClock()
    await asyncio.wait_for(clock.sleep_until(clock.now() - timedelta(days=1)), timeout=5)


def test_seeded_entropy_can_be_foretold_and_the_systems_cannot():
    assert SeededEntropy(1).secrets(3) == SeededEntropy(1).secrets(3) != SeededEntropy(2).secrets(3)
    assert SystemEntropy().secrets(3) != SystemEntropy().secrets(3)
    for entropy in (SeededEntropy(), SystemEntropy()):
        assert [len(entropy.secrets(count)) for count in (0, 1, 10)] == [0, SECRET_BYTES, 10 * SECRET_BYTES]
        assert all(0 <= entropy.jitter() <= 1 for _ in range(100))
