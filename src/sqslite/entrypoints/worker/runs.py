"""One start of a handler, with the messages it works on."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqslite.domain.messages import Received
from sqslite.entrypoints.worker.context import Context
from sqslite.entrypoints.worker.failures import Ending


class Hold:
    """A lease that a handler works under; `extended_at` is when it last began anew, None where nothing extends it."""

    def __init__(self, queue: str, received: Received, visibility_ms: int, now: datetime) -> None:
        self.received = received
        self.context = Context(queue, received)
        self.visibility_ms = visibility_ms
        self.extended_at: datetime | None = now
        self.lost = False


class Run:
    """A handler at work. Whoever sees that it must not go on tells it so (`end`); the first to tell says why."""

    def __init__(self, queue: str, received: Sequence[Received], visibility_ms: int, now: datetime) -> None:
        self.holds = [Hold(queue, one, visibility_ms, now) for one in received]
        self.ending: Ending | None = None
        self.told_to_end = asyncio.Event()
        self.settled = asyncio.Event()
        self.work: asyncio.Task[list[Any]] | None = None
        self.thread: asyncio.Future[Any] | None = None

    def end(self, why: Ending) -> None:
        """Tell the handler to end: one that awaits is cancelled, one in a thread finds `lost` set."""
        if self.ending is not None:
            return
        self.ending = why
        for hold in self.holds:
            hold.context.lost.set()
        if self.work is not None:
            self.work.cancel()
        self.told_to_end.set()

    def lose(self, hold: Hold) -> None:
        """One of its leases is gone; with the last of them it has nothing to work for."""
        hold.lost = True
        hold.extended_at = None
        hold.context.lost.set()
        if all(hold.lost for hold in self.holds):
            self.end(Ending.LOST)
