"""A client's own node: the domain on a store in this process, without a server."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from sqslite.adapters.client.calls import Call, UseCases
from sqslite.entrypoints.container import Container
from sqslite.entrypoints.node import at_work
from sqslite.entrypoints.settings import Settings

T = TypeVar("T")


class AsyncNode:
    """Makes calls on the domain. It migrates the storage and goes to work when it is opened."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._work = contextlib.AsyncExitStack()
        self._opening = asyncio.Lock()
        self._use_cases: UseCases | None = None

    async def open(self) -> None:
        """Go to work. Raises SchemaTooNew and StoreUnavailable."""
        async with self._opening:
            if self._use_cases is None:
                self._use_cases = await self._work.enter_async_context(_working(self._settings))

    async def ask(self, call: Call[T], /) -> T:
        """The call's result."""
        await self.open()
        assert self._use_cases is not None
        return await call.directly(self._use_cases)

    async def close(self) -> None:
        """Stop working and let go of the storage; memory forgets its messages."""
        self._use_cases = None
        await self._work.aclose()


class Node:
    """As AsyncNode, for threads that wait: it works on an event loop of its own, in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._work = contextlib.ExitStack()
        self._opening = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._use_cases: UseCases | None = None

    def open(self) -> None:
        """Go to work. Raises SchemaTooNew and StoreUnavailable."""
        with self._opening:
            if self._use_cases is None:
                # Where it fails its thread ends: the program could not end before.
                with contextlib.ExitStack() as work:
                    self._portal = work.enter_context(start_blocking_portal())
                    self._use_cases = work.enter_context(
                        self._portal.wrap_async_context_manager(_working(self._settings))
                    )
                    self._work = work.pop_all()

    def ask(self, call: Call[T], /) -> T:
        """The call's result."""
        self.open()
        assert self._portal is not None
        assert self._use_cases is not None
        return self._portal.call(_made, call, self._use_cases)

    def close(self) -> None:
        """Stop working and let go of the storage; memory forgets its messages."""
        self._use_cases = None
        self._work.close()


async def _made(call: Call[T], use_cases: UseCases) -> T:
    return await call.directly(use_cases)


@contextlib.asynccontextmanager
async def _working(settings: Settings) -> AsyncIterator[UseCases]:
    async with working(Container(settings=settings)) as use_cases:
        yield use_cases


@contextlib.asynccontextmanager
async def working(container: Container) -> AsyncIterator[UseCases]:
    """The use cases of the container's node, at work for the time of the block on a storage that it migrates."""
    async with at_work(container, migrate=True):
        try:
            yield UseCases(
                messaging=container.service(),
                administration=container.administration(),
                inspection=container.inspection(),
                redriving=container.redriving(),
            )
        finally:
            container.wakeups().release_waiters()
