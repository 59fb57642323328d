"""A queue without HTTP: cycles straight on the PostgreSQL store, for what depends on the database alone."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claim_cursor import Cursor
from sqslite.adapters.stores.postgres.store import PostgresStore
from sqslite.domain.messages import Delivery, NewMessage
from sqslite.domain.ports import Claim
from sqslite.domain.queues import Queue, QueueSettings

MESSAGE = NewMessage(body=b'{"task":"process-order","order":{"id":1234567,"amount":"1.50"}}', max_retries=5)
VISIBILITY_MS = 600_000


@dataclass(frozen=True)
class DirectQueue:
    """One queue of an open store."""

    store: PostgresStore
    queue: Queue

    async def enqueue(self, count: int) -> None:
        """Enqueue as many, in one call."""
        await self.store.enqueue(self.queue, [MESSAGE] * count)

    async def claim(self, count: int) -> list[Delivery]:
        """Lease up to as many, in one call."""
        secrets = SystemEntropy().secrets(count)
        claim = Claim(limit=count, visibility_ms=VISIBILITY_MS, secrets=secrets)
        return await self.store.claim(self.queue, claim)

    async def ack(self, deliveries: list[Delivery]) -> None:
        """Delete them, in one call."""
        await self.store.ack(self.queue.partition_id, [delivery.receipt for delivery in deliveries])


@contextlib.asynccontextmanager
async def direct_queue(url: str, name: str, cursor: Cursor | None = None) -> AsyncIterator[DirectQueue]:
    """The queue, in a migrated database, for the time of the block."""
    backend = PostgresBackend(url, cursor=cursor)
    await backend.open()
    try:
        await backend.migrate()
        yield DirectQueue(backend.store, await backend.catalog.ensure(name, QueueSettings()))
    finally:
        await backend.close()
