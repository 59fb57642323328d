"""Whom a worker speaks to."""

import asyncio
import importlib
from typing import Any

from sqslite.domain.errors import SqsliteError
from sqslite.domain.messages import Accepted, NewMessage
from sqslite.domain.use_cases import Messaging


class Connection:
    """The server at a URL, connected to when it is first needed; or a Messaging that is there already."""

    def __init__(self, target: str | Messaging) -> None:
        self._url = target if isinstance(target, str) else None
        self._given = None if isinstance(target, str) else target
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> Messaging:
        """The one to speak to in this event loop."""
        loop = asyncio.get_running_loop()
        if self._given is not None:
            self._loop = loop
            return self._given
        if self._client is None or self._loop is not loop:
            # Imported here, because a worker that is given its Messaging needs no HTTP library.
            AsyncClient = importlib.import_module("sqslite.adapters.client").AsyncClient  # noqa: N806
            # The connections of a loop that is over are of no use, and cannot be closed any more.
            self._client, self._loop = AsyncClient(self._url), loop
        return self._client  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Close what was opened."""
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
        if self._loop is not None and self._loop.is_running():
            return asyncio.run_coroutine_threadsafe(self.enqueue(queue, message), self._loop).result()
        return asyncio.run(self.enqueue(queue, message))
