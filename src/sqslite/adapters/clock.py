"""Clocks: the system's, one that runs evenly, one that runs and can be set forward, and one that only a test moves."""

import asyncio
import heapq
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

# How often a virtual clock lets the event loop run so that whoever it woke comes to rest again.
SETTLING_TURNS = 50


async def _sleep_until(instant: datetime, now: Callable[[], datetime]) -> None:
    # A loop, because a sleep may end a little before its time, and a machine's clock may be set back meanwhile.
    while (to_go := instant - now()) > timedelta(0):  # noqa: ASYNC110
        await asyncio.sleep(to_go.total_seconds())


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, instant: datetime) -> None:
        """Return once the instant has come."""
        await _sleep_until(instant, self.now)


class SteadyClock:
    """Runs from the system's time at its making, and goes on evenly whatever is done to that: for measuring."""

    def __init__(self) -> None:
        self._made_at = datetime.now(UTC)
        self._made_s = time.monotonic()

    def now(self) -> datetime:
        """The present instant, UTC, as far as the system's time is right."""
        return self._made_at + timedelta(seconds=time.monotonic() - self._made_s)

    async def sleep_until(self, instant: datetime) -> None:
        """Return once the instant has come."""
        await _sleep_until(instant, self.now)


class SteppedClock:
    """A clock that runs like the system's, or stands still while frozen, and can be set forward.

    What sleeps on it wakes when its time has come, whether the time passed or was skipped.
    """

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._frozen_at: datetime | None = None
        self._stepped = asyncio.Event()

    def now(self) -> datetime:
        """The present instant, UTC, with all steps taken."""
        return (self._frozen_at or datetime.now(UTC)) + self._ahead

    @property
    def frozen(self) -> bool:
        """Whether it stands still but for steps."""
        return self._frozen_at is not None

    async def sleep_until(self, instant: datetime) -> None:
        """Return once the instant has come."""
        while (to_go := instant - self.now()) > timedelta(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self.frozen else to_go.total_seconds()):
                    await self._stepped.wait()

    def step(self, duration: timedelta) -> None:
        """Skip the duration, and wake whose time has come. ValueError where it would go back."""
        if duration < timedelta(0):
            raise ValueError(f"time goes forward only; got {duration}")
        self._ahead += duration
        self._let_look()

    def freeze(self) -> None:
        """Stand still from now on, but for steps."""
        self._frozen_at = self._frozen_at or datetime.now(UTC)
        self._let_look()

    def run(self) -> None:
        """Go on from the instant it stands at."""
        if self._frozen_at is not None:
            self._ahead += self._frozen_at - datetime.now(UTC)
            self._frozen_at = None
            self._let_look()

    def reset(self, ahead: timedelta = timedelta(0)) -> None:
        """Show the system's time again, or one that is so much ahead of it, and run."""
        self._ahead, self._frozen_at = ahead, None
        self._let_look()

    def _let_look(self) -> None:
        stepped, self._stepped = self._stepped, asyncio.Event()
        stepped.set()


class VirtualClock:
    """A clock that stands still until it is told to advance, and then wakes its sleepers in order."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        """The instant the clock was last moved to."""
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        """Return once the clock was moved to the instant or beyond."""
        if instant <= self._now:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (instant, next(self._order), woken))
        await woken

    def shift(self, duration: timedelta) -> None:
        """Move the time and wake nobody: for code that looks at the clock and does not sleep on it."""
        self._now += duration

    async def advance(self, duration: timedelta) -> None:
        """Move the time, stopping at every sleeper's instant so that each runs when its time has come."""
        end = self._now + duration
        while self._sleepers and self._sleepers[0][0] <= end:
            instant, _, woken = heapq.heappop(self._sleepers)
            # A shift may have gone beyond the instant; time never goes back.
            self._now = max(self._now, instant)
            if not woken.done():
                woken.set_result(None)
            await self._settle()
        self._now = end
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(SETTLING_TURNS):
            await asyncio.sleep(0)
