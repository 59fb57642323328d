"""Whom a worker speaks to."""

import asyncio
import threading
from typing import TYPE_CHECKING

from sqslite.domain.errors import SqsliteError
from sqslite.domain.messages import Accepted, NewMessage
from sqslite.domain.use_cases import Messaging

if TYPE_CHECKING:
    from sqslite.entrypoints.client import AsyncClient, Client


class Connection:
    """The server at a URL, connected to when it is first needed; or a Messaging that is there already."""

    def __init__(self, target: str | Messaging) -> None:
        self._target = target
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: AsyncClient | None = None
        self._blocking: Client | None = None
        self._opening = threading.Lock()

    async def open(self) -> Messaging:
        """The one to speak to in this event loop."""
        loop = asyncio.get_running_loop()
        if not isinstance(self._target, str):
            self._loop = loop
            return self._target
        if self._client is None or self._loop is not loop:
            # Imported here, because a worker that is given its Messaging needs no HTTP library.
            from sqslite.entrypoints.client import AsyncClient

            # The connections of a loop that is over are of no use, and cannot be closed any more.
            self._client, self._loop = AsyncClient(self._target), loop
        return self._client

    async def close(self) -> None:
        """Close what was opened."""
        with self._opening:
            blocking, self._blocking = self._blocking, None
        if blocking is not None:
            blocking.close()
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def enqueue(self, queue: str, message: NewMessage) -> Accepted | SqsliteError:
        """Enqueue one message; its id, or the reason why it was refused."""
        (result,) = await (await self.open()).enqueue(queue, [message])
        return result

    def enqueue_blocking(self, queue: str, message: NewMessage) -> Accepted | SqsliteError:
        """Enqueue one message from a thread without an event loop. Raises RuntimeError where it has one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._enqueue_from_outside(queue, message)
        raise RuntimeError("send() would block the event loop that runs here: await enqueue() instead")

    def _enqueue_from_outside(self, queue: str, message: NewMessage) -> Accepted | SqsliteError:
        # A worker that serves has a client, and one on a store of its own has the only one.
        if self._loop is not None and self._loop.is_running():
            return asyncio.run_coroutine_threadsafe(self.enqueue(queue, message), self._loop).result()
        if not isinstance(self._target, str):
            return asyncio.run(self.enqueue(queue, message))
        (result,) = self._blocking_client(self._target).enqueue(queue, [message])
        return result

    def _blocking_client(self, url: str) -> "Client":
        with self._opening:
            if self._blocking is None:
                from sqslite.entrypoints.client import Client

                self._blocking = Client(url)
            return self._blocking
