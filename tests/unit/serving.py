"""A worker at work on a node of its own, on the node's virtual clock."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from sqslite.adapters.entropy import SeededEntropy
from sqslite.domain.messages import Message
from sqslite.entrypoints.worker import Worker
from tests.unit.node import Node, node

REAL_S_MAX = 5.0


@dataclass
class Bench:
    """What a test of workers needs: messages go in by `own`, and `seen` is what handlers note."""

    own: Node = field(default_factory=node)
    seen: list = field(default_factory=list)

    def worker(self, messaging: object = None, **options: object) -> Worker:
        return Worker(messaging or self.own.service, clock=self.own.clock, entropy=SeededEntropy(), **options)

    @contextlib.asynccontextmanager
    async def serving(self, worker: Worker) -> AsyncIterator[None]:
        """The worker works for the time of the block, and has come to rest when the block begins."""
        serving = asyncio.create_task(worker.serve())
        await self.rest()
        try:
            yield
        finally:
            worker.stop()
            worker.stop()
            await self.rest()
            if not serving.done():
                await self.advance_s(60)
            await asyncio.wait_for(serving, REAL_S_MAX)

    async def rest(self) -> None:
        """Let everything happen that happens without time."""
        await self.own.advance(0)
        await self.own.advance(0)

    async def advance_s(self, seconds: float) -> None:
        await self.own.advance(int(seconds * 1_000))
        await self.rest()

    async def left(self, queue: str = "orders") -> list[Message]:
        return await self.own.messages(queue)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a thread, in real time."""
        async with asyncio.timeout(REAL_S_MAX):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
                await asyncio.sleep(0.002)
        await self.rest()
