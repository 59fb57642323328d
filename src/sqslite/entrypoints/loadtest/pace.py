"""When the next messages are to be sent."""

import math
from typing import Protocol

from msgspec import Struct

from sqslite.entrypoints.loadtest.plan import Plan


class Turn(Struct, frozen=True):
    """Send `count` messages at `due_s` seconds from the start; latencies count from then."""

    due_s: float
    count: int


class Pace(Protocol):
    """Gives out turns to whichever producer is free."""

    @property
    def ended(self) -> bool:
        """Whether there is to be no further turn, though one that was given out may still be waiting."""
        ...

    def next(self, now_s: float) -> Turn | None:
        """The next turn, None where it is over."""
        ...

    def missed(self, now_s: float) -> int:
        """How many messages were due by now and got no turn, because all producers were busy."""
        ...

    def end(self) -> None:
        """Give out no more turns."""
        ...


class ClosedLoop:
    """A producer that is free sends at once."""

    def __init__(self, plan: Plan) -> None:
        self._seconds = plan.seconds
        self._batch = plan.batch
        self._left = plan.messages
        self.ended = False

    def next(self, now_s: float) -> Turn | None:
        """See Pace."""
        count = min(self._batch, self._left)
        if self.ended or not count or now_s >= self._seconds:
            return None
        self._left -= count
        return Turn(now_s, count)

    def missed(self, now_s: float) -> int:
        """See Pace: nothing is ever due."""
        return 0

    def end(self) -> None:
        """See Pace."""
        self.ended = True


class OpenLoop:
    """Turns come at a steady rate, whether or not anything was answered.

    A turn that finds no producer free is sent late, and its latency counts from when it was due: otherwise a server
    that stalls would be measured only when it does not.
    """

    def __init__(self, plan: Plan, rate: float) -> None:
        self._rate = rate
        self._batch = plan.batch
        self._seconds = plan.seconds
        self._messages = plan.messages
        self._given = 0
        self.ended = False

    def next(self, now_s: float) -> Turn | None:
        """See Pace."""
        due_s = self._given / self._rate
        count = min(self._batch, self._messages - self._given)
        if self.ended or not count or due_s >= self._seconds or now_s >= self._seconds:
            return None
        self._given += count
        return Turn(due_s, count)

    def missed(self, now_s: float) -> int:
        """See Pace."""
        due = math.ceil(min(now_s, self._seconds) * self._rate)
        return max(0, min(due, self._messages) - self._given)

    def end(self) -> None:
        """See Pace."""
        self.ended = True


def pace_of(plan: Plan) -> Pace:
    """Open where the plan has a rate, closed otherwise."""
    return ClosedLoop(plan) if plan.rate is None else OpenLoop(plan, plan.rate)
