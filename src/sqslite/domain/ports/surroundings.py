"""What else there is in the world: other waiters, time, randomness, and somebody who looks on."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol


class Watch(Protocol):
    """One waiter's eye on a queue, from the moment it was opened."""

    @property
    def over(self) -> bool:
        """True once nobody shall wait any longer, because the process is to end."""
        ...

    async def wait(self, until: datetime) -> None:
        """Return once messages may have come since the watch was opened or last returned, or at `until`.

        It may return for nothing: whoever waits looks again.
        """
        ...

    def wake(self) -> None:
        """Let the waiter look."""
        ...

    def pass_on(self) -> None:
        """Wake the longest waiting of the others on this node: there is something to look at that this one leaves.

        Other nodes are not told: they heard of it when it came.
        """
        ...


class Wakeups(Protocol):
    """Tells waiters of a queue that messages came. A hint: whoever waits also looks now and then by itself."""

    def watching(self, queue: str) -> AbstractContextManager[Watch]:
        """Watch the queue for the time of the block; what comes after this is not missed.

        Raises Overloaded where too many wait already.
        """
        ...

    def notify(self, queue: str, count: int) -> None:
        """`count` messages may have become claimable: as many waiters are woken, the longest waiting first."""
        ...


class Clock(Protocol):
    """Time, so that a test can move it."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        ...

    async def sleep_until(self, instant: datetime) -> None:
        """Return once `now() >= instant`."""
        ...


class Entropy(Protocol):
    """Randomness, so that a test can foretell it."""

    def secrets(self, count: int) -> bytes:
        """`count` unguessable secrets of SECRET_BYTES each, one behind another."""
        ...

    def jitter(self) -> float:
        """A number in 0..1, evenly spread."""
        ...


class Observer(Protocol):
    """Is told what happened, for metrics and logs. It never raises and never waits."""

    def enqueued(self, queue: str, count: int) -> None:
        """`count` messages were committed to the queue."""
        ...

    def claimed(self, queue: str, count: int) -> None:
        """`count` messages of the queue were leased."""
        ...

    def acked(self, lease_age_ms: Sequence[float]) -> None:
        """A message each was acked; the age is the time since its claim, negative where it had none."""
        ...

    def requeued(self, count: int) -> None:
        """`count` ended leases made their messages claimable again."""
        ...

    def dead_lettered(self, count: int) -> None:
        """`count` messages were moved to their dead-letter queues."""
        ...

    def expired(self, count: int) -> None:
        """`count` messages were deleted because their retention was over."""
        ...

    def redrive_failed(self, error: Exception, retry_in_ms: int) -> None:
        """A step of a redrive failed; tasks are looked for again in `retry_in_ms` milliseconds."""
        ...

    def redriven(self, count: int) -> None:
        """`count` dead letters were moved on."""
        ...

    def swept(self, duration_s: float) -> None:
        """A sweep ended, having taken that many seconds."""
        ...

    def sweep_failed(self, error: Exception, retry_in_ms: int) -> None:
        """A sweep failed and will be tried again in `retry_in_ms` milliseconds."""
        ...
