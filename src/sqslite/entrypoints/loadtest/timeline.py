"""The time of a load test, in seconds from its start."""

from datetime import datetime, timedelta

from sqslite.domain.ports import Clock


class Timeline:
    """Seconds since it was made, on a clock that a test may move."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start: datetime = clock.now()

    def now_s(self) -> float:
        """Seconds since the start."""
        return (self._clock.now() - self._start).total_seconds()

    async def sleep_until(self, at_s: float) -> None:
        """Return once it is `at_s` seconds since the start."""
        await self._clock.sleep_until(self._start + timedelta(seconds=at_s))

    async def sleep(self, duration_s: float) -> None:
        """Return after so many seconds."""
        await self.sleep_until(self.now_s() + duration_s)
