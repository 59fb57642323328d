"""Whom a load test loads: the calls that it makes, over whichever wire."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.leases import Receipt
from sqslite.domain.messages import Accepted, NewMessage, Received
from sqslite.domain.ports import Depth, Totals
from sqslite.domain.queues import NamedQueue, QueueSettings

if TYPE_CHECKING:
    from sqslite.entrypoints.client import AsyncClient

GRPC = "grpc://"


class Messages(Protocol):
    """What is used of Messaging."""

    async def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[Accepted | SqsliteError]:
        """See Messaging."""
        ...

    async def claim(
        self, queue: str, limit: int | None = None, visibility_ms: int | None = None, wait_ms: int | None = None
    ) -> Sequence[Received]:
        """See Messaging."""
        ...

    async def ack(self, receipts: Sequence[Receipt]) -> list[SqsliteError | None]:
        """See Messaging."""
        ...


class Queues(Protocol):
    """What is used of Administration."""

    async def put(self, name: str, settings: QueueSettings) -> tuple[NamedQueue, bool]:
        """See Administration."""
        ...

    async def get(self, name: str) -> NamedQueue:
        """See Administration."""
        ...

    async def delete(self, name: str) -> None:
        """See Administration."""
        ...


class Counts(Protocol):
    """What is used of Inspection."""

    async def stats(self, name: str) -> tuple[Depth, Totals]:
        """See Inspection."""
        ...


class Target(Struct, frozen=True):
    """All that is used of an sqslite."""

    messages: Messages
    queues: Queues
    counts: Counts


@contextlib.asynccontextmanager
async def reached(url: str, connections: int, timeout_s: float) -> AsyncIterator[Target]:
    """The sqslite at `grpc://host:port`, or at any URL that an AsyncClient takes, for the time of the block.

    `connections`: how many calls are made at once, at most. No call is tried again: what each one came to is what is
    measured. Raises InvalidValue for another URL, and for one of gRPC where the extra is not installed.
    """
    if url.startswith(GRPC):
        if find_spec("grpc") is None:
            raise InvalidValue("url", url, "http://… while gRPC is not installed (pip install 'sqslite[grpc]')")
        # Imported here, because it needs the extra.
        from sqslite.entrypoints.loadtest.grpc_calls import GrpcCalls

        async with GrpcCalls(url, timeout_s) as calls:
            yield Target(calls, calls, calls)
    else:
        async with _client(url, connections, timeout_s) as client:
            yield Target(client, client.administration, client.inspection)


def _client(url: str, connections: int, timeout_s: float) -> "AsyncClient":
    # Imported here, because a test over gRPC needs no HTTP library.
    from sqslite.entrypoints.client import AsyncClient

    if not url.startswith(("http://", "https://")):
        return AsyncClient(url)
    from sqslite.adapters.client.connections import AsyncConnections, Options
    from sqslite.adapters.entropy import SystemEntropy
    from sqslite.entrypoints.loadtest.lanes import Lanes

    options = Options(retries=0, connections_max=1, timeout_s=timeout_s)
    return AsyncClient.through(Lanes([AsyncConnections(url, options, SystemEntropy()) for _ in range(connections)]))
