"""What a test of the driving ports stands on: somebody who implements them, in whichever way, and names of its own."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqslite.domain.messages import Accepted, NewMessage, Received
from sqslite.domain.use_cases import Administration, Inspection, Messaging, RedriveTasks
from sqslite.entrypoints.client import AsyncClient, Client


@dataclass
class Asked:
    """`pass_time` lets time go by: on a virtual clock where there is one, else the real one."""

    messaging: Messaging
    administration: Administration
    inspection: Inspection
    redriving: RedriveTasks
    pass_time: Callable[[int], Awaitable[None]]
    own: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def queue(self, name: str = "orders") -> str:
        """A queue that no other test has: they may share a store."""
        return f"{self.own}-{name}"

    async def enqueue(self, *messages: NewMessage, queue: str = "orders") -> list[int]:
        outcomes = await self.messaging.enqueue(self.queue(queue), messages or (message(),))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [outcome.id for outcome in outcomes if isinstance(outcome, Accepted)]

    async def claim(self, limit: int = 10, visibility_ms: int = 60_000, queue: str = "orders") -> list[Received]:
        return list(await self.messaging.claim(self.queue(queue), limit, visibility_ms))

    async def claim_one(self, visibility_ms: int = 60_000, queue: str = "orders", wait_ms: int = 0) -> Received:
        """The next delivery; with a wait where a sweep may just be settling it."""
        (delivery,) = await self.messaging.claim(self.queue(queue), 1, visibility_ms, wait_ms)
        return delivery


def message(body: bytes = b'{"n":1}', **fields: Any) -> NewMessage:
    return NewMessage(body=body, **fields)


async def really(milliseconds: int) -> None:
    await asyncio.sleep(milliseconds / 1e3)


def asked_through(client: AsyncClient) -> Asked:
    return Asked(client, client.administration, client.inspection, client.redriving, really)


def asked_in_threads(client: Client) -> Asked:
    """The client that blocks, each of its calls in a thread."""
    parts = (client, client.administration, client.inspection, client.redriving)
    return Asked(*(InThreads(part) for part in parts), really)  # type: ignore[arg-type]


class InThreads:
    """Awaits methods that block."""

    def __init__(self, blocking: object) -> None:
        self._blocking = blocking

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return partial(asyncio.to_thread, getattr(self._blocking, name))
