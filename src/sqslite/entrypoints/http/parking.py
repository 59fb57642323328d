"""Long polls: a client that hangs up while it waits is noticed, and keeps no message from others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqslite.entrypoints.http.exchange import Incoming

T = TypeVar("T")
Claim = Callable[[Callable[[], bool]], Awaitable[list[T]]]


async def unless_gone(request: Incoming, claim: Claim[T], release: Callable[[list[T]], Awaitable[None]]) -> list[T]:
    """What was claimed; where the client hung up meanwhile, it is released.

    The claim is not cancelled, for it may just be leasing: it is told that nobody wants its answer.
    """
    leaving = asyncio.ensure_future(_gone(request))
    try:
        claimed = await claim(lambda: not leaving.done())
        if leaving.done() and claimed:
            await release(claimed)
            return []
        return claimed
    finally:
        leaving.cancel()


async def _gone(request: Incoming) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
