"""Wake-ups within one process, with a look at the queue now and then for what other processes did."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

from sqslite.domain.errors import Overloaded
from sqslite.domain.limits import ms
from sqslite.domain.ports import Clock

# So often all queues that somebody waits on are looked at: that finds delayed messages and other nodes' ones.
LOOK_EVERY_MS = 1_000
# Looks take this share of the time at most, however slow they have become.
REST_PER_LOOK = 20
WAITERS_MAX = 2_000

Look = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Which of the queues of these names have something for a claim to look at."""


async def let_waiters_look(queues: Sequence[str]) -> Collection[str]:
    """Any of them may have something: on each, somebody looks for itself."""
    return queues


class LocalWatch:
    """One waiter's eye on one queue; `line` holds those who wait for it, the longest waiting first."""

    def __init__(self, clock: Clock, line: Iterable["LocalWatch"]) -> None:
        self._clock = clock
        self._line = line
        self._woken = asyncio.Event()
        self.over = False

    @property
    def woken(self) -> bool:
        """Whether it was woken and has not looked yet."""
        return self._woken.is_set()

    def wake(self) -> None:
        """Let the waiter look."""
        self._woken.set()

    def pass_on(self) -> None:
        """Let the longest waiting of the others look."""
        for other in self._line:
            if other is not self and not other.woken:
                other.wake()
                return

    def end(self) -> None:
        """Let the waiter look for the last time."""
        self.over = True
        self._woken.set()

    async def wait(self, until: datetime) -> None:
        """Return once woken, or at `until`."""
        if not self.woken:
            timer = asyncio.ensure_future(self._clock.sleep_until(until))
            timer.add_done_callback(self._time_is_over)
            try:
                # Awaited by itself: each task or callback in between is a turn of the loop, in which others come first.
                await self._woken.wait()
            finally:
                timer.remove_done_callback(self._time_is_over)
                timer.cancel()
        self._woken.clear()

    def _time_is_over(self, timer: asyncio.Future[None]) -> None:
        self._woken.set()


class LocalWakeups:
    """The waiters of this process, by queue, the longest waiting first. Nothing is kept of a queue nobody waits for."""

    def __init__(self, clock: Clock, look: Look = let_waiters_look) -> None:
        self._clock = clock
        self._look = look
        self._watches: dict[str, deque[LocalWatch]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._waiters = 0
        self._released = False

    @contextmanager
    def watching(self, queue: str) -> Iterator[LocalWatch]:
        """Stand in line for the time of the block. Raises Overloaded where WAITERS_MAX wait already."""
        if self._waiters >= WAITERS_MAX:
            raise Overloaded(f"{self._waiters} receives are waiting for messages already; try again shortly")
        line = self._watches.setdefault(queue, deque())
        watch = LocalWatch(self._clock, line)
        if self._released:
            watch.end()
        line.append(watch)
        self._waiters += 1
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look_now_and_then())
        try:
            yield watch
        finally:
            line.remove(watch)
            self._waiters -= 1
            if watch.woken:
                # It leaves without having looked: the next in line does.
                watch.pass_on()
            if not line:
                del self._watches[queue]
            if not self._watches and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def notify(self, queue: str, count: int) -> None:
        """Wake as many as messages came."""
        for watch in self._watches.get(queue, ()):
            if count <= 0:
                return
            if not watch.woken:
                watch.wake()
                count -= 1

    def notify_every_queue(self) -> None:
        """Let the longest waiting of each queue look: messages may have come of which nobody told."""
        for queue in self._watches:
            self.notify(queue, 1)

    async def open(self) -> None:
        """Nothing to connect to: all waiters are in this process."""

    def release_waiters(self) -> None:
        """Let everybody look for the last time, and nobody wait any more: the process is to end."""
        self._released = True
        for line in self._watches.values():
            for watch in line:
                watch.end()

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _look_now_and_then(self) -> None:
        """One look at all queues that are watched: a claim on each would cost a hundred times as much."""
        pause = ms(LOOK_EVERY_MS)
        with suppress(asyncio.CancelledError):
            while True:
                await self._clock.sleep_until(self._clock.now() + pause)
                began_at = self._clock.now()
                for queue in await self._promising(list(self._watches)):
                    self.notify(queue, 1)
                pause = max(ms(LOOK_EVERY_MS), REST_PER_LOOK * (self._clock.now() - began_at))

    async def _promising(self, queues: Sequence[str]) -> Collection[str]:
        try:
            return await self._look(queues)
        # Whatever it was, those who wait meet it themselves, and tell their clients.
        except Exception:
            return queues
