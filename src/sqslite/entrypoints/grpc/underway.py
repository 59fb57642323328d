"""Work that is carried to its end, whoever still waits for it: a client may hang up at any instant."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from structlog import get_logger

from sqslite.domain.asker import Asker
from sqslite.domain.errors import SqsliteError
from sqslite.domain.messages import Delivery
from sqslite.domain.service import QueueService

T = TypeVar("T")

log = get_logger()


class Underway:
    """What this process has begun for its clients and not ended yet."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def carried(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result. Where the caller is cancelled the work goes on: it may just be committing."""
        return await asyncio.shield(self._begun(work))

    async def claimed(
        self, service: QueueService, claim: Callable[[Asker], Coroutine[Any, Any, list[Delivery]]]
    ) -> list[Delivery]:
        """What was claimed. Where the caller is cancelled, what is leased for it is given back at once."""
        asker = Asker()
        claiming = self._begun(claim(asker))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            asker.leave()
            self.later(_released(service, claiming))
            raise

    def later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Give messages back, whether or not anybody waits for it; a refusal is logged."""
        return self._begun(_unless_refused(work))

    async def ended(self) -> None:
        """Return once nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begun(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever waited has it; where nobody does, asyncio would complain that it was never looked at.
            task.exception()


async def _released(service: QueueService, claiming: asyncio.Task[list[Delivery]]) -> None:
    deliveries = await claiming
    if deliveries:
        await service.release(deliveries)


async def _unless_refused(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except SqsliteError as refusal:
        # The leases end by themselves.
        log.warning("not_released", code=refusal.code, error=str(refusal))
