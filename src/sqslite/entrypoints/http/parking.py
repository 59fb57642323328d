"""Long polls: a client that hangs up while it waits is noticed, and keeps no message from others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqslite.domain.asker import Asker
from sqslite.entrypoints.http.exchange import Incoming

T = TypeVar("T")
Claim = Callable[[Asker], Awaitable[list[T]]]

# Most receives are answered sooner, and to watch their clients would cost as much as to answer them.
WATCH_AFTER_S = 0.05


class _Client(Asker):
    """The one who asked; watched once somebody says so."""

    def __init__(self, request: Incoming) -> None:
        self._request = request
        self._leaving: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Look out for its hanging up."""
        self._leaving = asyncio.ensure_future(self._left())

    def forget(self) -> None:
        """Look out no more."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def _left(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.leave()


async def unless_gone(request: Incoming, claim: Claim[T], release: Callable[[list[T]], Awaitable[None]]) -> list[T]:
    """What was claimed; where the client hung up meanwhile, it is released.

    The claim is not cancelled, for it may just be leasing: it is told that nobody wants its answer.
    """
    client = _Client(request)
    watching = asyncio.get_running_loop().call_later(WATCH_AFTER_S, client.watch)
    try:
        claimed = await claim(client)
        if claimed and not client.there:
            await release(claimed)
            return []
        return claimed
    finally:
        watching.cancel()
        client.forget()
