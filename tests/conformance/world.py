"""What a conformance test stands on: one store, opened, migrated, with a clock that the test moves."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.entropy import SeededEntropy
from sqslite.adapters.stores.backend import Backend
from sqslite.domain.leases import Receipt
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import RETENTION_FOREVER, ms
from sqslite.domain.messages import Accepted, Delivery, Message, NewMessage
from sqslite.domain.ports import Claim, MoveToDlq, QueueCatalog, QueueStats, Redrives, RequeueAt, Sighting, Store
from sqslite.domain.queues import Queue, QueueSettings

VISIBILITY_MS = 30_000


@dataclass
class World:
    """`store` may be a decorator over the backend's own; catalog and stats are the backend's."""

    backend: Backend
    clock: VirtualClock
    store: Store
    entropy: SeededEntropy = field(default_factory=SeededEntropy)

    @property
    def catalog(self) -> QueueCatalog:
        return self.backend.catalog

    @property
    def stats(self) -> QueueStats:
        return self.backend.stats

    @property
    def redrives(self) -> Redrives:
        return self.backend.redrives

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def advance(self, milliseconds: int) -> None:
        self.clock.shift(timedelta(milliseconds=milliseconds))

    async def queue(self, name: str = "orders", settings: QueueSettings | None = None) -> Queue:
        return await self.catalog.ensure(name, settings or QueueSettings())

    async def queue_with(self, name: str = "orders", **settings: Any) -> Queue:
        return await self.queue(name, QueueSettings(**settings))

    async def store_sight(self, message_id: int) -> Sighting:
        seen = await self.stats.sight(message_id)
        assert seen is not None
        return seen

    async def blocker_of(self, message_id: int) -> int | None:
        """What the message waits for in its group."""
        blocker = (await self.store_sight(message_id)).blocked_by
        return None if blocker is None else blocker.id

    async def accept(self, queue: Queue, *messages: NewMessage) -> list[Accepted]:
        return await self.store.enqueue(queue, messages or (message(),))

    async def enqueue(self, queue: Queue, *messages: NewMessage) -> list[int]:
        return [accepted.id for accepted in await self.accept(queue, *messages)]

    async def claim(
        self,
        queue: Queue,
        limit: int = 10,
        visibility_ms: int = VISIBILITY_MS,
        attempt_id: str | None = None,
        whole_groups: bool = False,
    ) -> list[Delivery]:
        claim = Claim(
            limit=limit,
            visibility_ms=visibility_ms,
            secrets=self.entropy.secrets(limit),
            attempt_id=attempt_id,
            whole_groups=whole_groups,
        )
        return await self.store.claim(queue, claim)

    async def claim_one(self, queue: Queue, visibility_ms: int = VISIBILITY_MS) -> Delivery:
        (delivery,) = await self.claim(queue, 1, visibility_ms)
        return delivery

    async def ack(self, *receipts: Receipt):
        return await self.store.ack(receipts[0].partition_id, receipts)

    async def messages(self, queue: Queue) -> list[Message]:
        """All messages of the queue, whatever their state, by id."""
        states = (State.READY, State.DELAYED, State.LEASED)
        pages = [await self.stats.peek(queue.partition_id, state, None, 1_000) for state in states]
        return sorted((message for page in pages for message in page), key=lambda message: message.id)

    async def requeue_expired(self, after_ms: int = 0, error: str | None = None) -> list[bool]:
        """Settle whatever has ended by requeueing it, one partition after another."""
        expired = await self.store.expired(1_000)
        results = []
        for lease in expired.leases:
            settlement = RequeueAt(lease, expired.now + ms(after_ms), error)
            results += await self.store.settle(lease.receipt.partition_id, [settlement])
        return results

    async def dead_letter_expired(self, dlq: Queue, error: str | None = None) -> list[bool]:
        """Settle whatever has ended by moving it to the DLQ."""
        expired = await self.store.expired(1_000)
        results = []
        for lease in expired.leases:
            settlement = MoveToDlq(lease, dlq, expired.now, RETENTION_FOREVER, error)
            results += await self.store.settle(lease.receipt.partition_id, [settlement])
        return results


def message(body: bytes = b'{"n":1}', **fields) -> NewMessage:
    """As a store is given it: with nothing left to the queue."""
    return NewMessage(body=body, **{"max_retries": 5, "retention_ms": RETENTION_FOREVER, **fields})
