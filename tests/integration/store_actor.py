"""A store that is spoken to in the model's terms."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.entropy import SeededEntropy
from sqslite.adapters.stores.backend import Backend
from sqslite.domain.leases import Acked, Lease, Receipt, Refusal
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import ms
from sqslite.domain.messages import Message, NewMessage
from sqslite.domain.ports import (
    Claim,
    Delete,
    Extension,
    Move,
    MoveToDlq,
    PartitionDropped,
    Position,
    RequeueAt,
    Settlement,
)
from sqslite.domain.queues import Queue
from sqslite.domain.redrive import Redrive, RedriveState
from sqslite.domain.retry import DeadLetter, Drop, decide
from tests.integration.store_model import POLICIES, QUEUES, Handle, Held

PAGE = 1_000
HOLD_MS = 5_000


@dataclass
class Actor:
    """A store that is spoken to in the model's terms, and whose answers are brought into them."""

    name: str
    backend: Backend
    clock: VirtualClock
    queues: dict[str, Queue] = field(default_factory=dict)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    ids: list[int] = field(default_factory=list)
    receipts: dict[Handle, Receipt] = field(default_factory=dict)
    leases: dict[Held, Lease] = field(default_factory=dict)

    async def begin(self) -> None:
        """An empty store with the queues; ids go on where they were."""
        for name in QUEUES:
            await self.backend.catalog.drop(name)
        await self.tidied()
        self.queues = {name: await self.backend.catalog.ensure(name, settings) for name, settings in QUEUES.items()}
        self.entropy = SeededEntropy()
        self.ids, self.receipts, self.leases = [], {}, {}

    async def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[tuple[int, bool]]:
        accepted = await self.backend.store.enqueue(self.queues[queue], messages)
        self.ids += [one.id for one in accepted if not one.duplicate]
        assert self.ids == sorted(set(self.ids))
        return [(self.ids.index(one.id), one.duplicate) for one in accepted]

    async def claim(
        self, queue: str, limit: int, visibility_ms: int, attempt_id: str | None
    ) -> list[tuple[Handle, int]]:
        secrets = self.entropy.secrets(limit)
        claim = Claim(limit=limit, visibility_ms=visibility_ms, secrets=secrets, attempt_id=attempt_id)
        deliveries = await self.backend.store.claim(self.queues[queue], claim)
        return [(self.handle(delivery.receipt), delivery.receipt.delivery_count) for delivery in deliveries]

    async def ack(self, queue: str, handles: Sequence[Handle]) -> list[Acked | Refusal]:
        receipts = [self.receipts[handle] for handle in handles]
        return [_anywhere(outcome) for outcome in await self.backend.store.ack(self.partition(queue), receipts)]

    async def ack_unproven(self, numbers: Sequence[int]) -> list[Acked | Refusal]:
        outcomes = await self.backend.store.ack_unproven([self.ids[number] for number in numbers])
        return [_anywhere(outcome) for outcome in outcomes]

    async def extend(self, queue: str, handles: Sequence[Handle], visibility_ms: int) -> list[datetime | Refusal]:
        extensions = [Extension(self.receipts[handle], visibility_ms) for handle in handles]
        return await self.backend.store.extend(self.partition(queue), extensions)

    async def hold(self, queue: str, handles: Sequence[Handle]) -> list[Held | Refusal]:
        held = await self.backend.store.held(self.partition(queue), [self.receipts[handle] for handle in handles])
        assert held.now == self.clock.now()
        return [lease if isinstance(lease, Refusal) else self.remembered(lease) for lease in held.leases]

    async def look(self, queue: str | None) -> list[Held]:
        expired = await self.backend.store.expired(PAGE, queue and self.partition(queue))
        assert expired.now == self.clock.now()
        return sorted(self.remembered(lease) for lease in expired.leases)

    async def settle(
        self, queue: str, leases: Sequence[Held], jitter: float, error: str | None, dead_ms: int
    ) -> list[bool]:
        settlements = [self.settlement(self.leases[lease], jitter, error, dead_ms) for lease in leases]
        return await self.backend.store.settle(self.partition(queue), settlements)

    async def expire(self) -> int:
        return await self.backend.store.expire(PAGE)

    async def pause(self, queue: str, paused: bool) -> None:
        # Whoever claims may not know yet.
        await self.backend.catalog.pause(queue, paused)

    async def renew(self, queue: str) -> None:
        old, renewed = self.queues[queue], await self.backend.catalog.renew(queue)
        assert renewed is not None
        self.queues[queue] = renewed
        with pytest.raises(PartitionDropped):
            await self.backend.store.enqueue(old, [NewMessage(body=b"late")])
        await self.tidied()

    async def redrive(self, limit: int, kept_ms: int) -> tuple[list[int], int]:
        dead, redrives = self.queues["dead"], self.backend.redrives
        await redrives.create(Redrive(queue="dead", partition_id=dead.partition_id, created_at=self.clock.now()))
        task = await redrives.take(HOLD_MS)
        assert task is not None
        candidates = await redrives.candidates(task, limit)
        moves = [
            Move(message_id=one.id, target=self.queues[one.origin_queue], dlq="dead", retention_ms=kept_ms)
            for one in candidates
            if one.origin_queue
        ]
        last = Position(candidates[-1].not_before, candidates[-1].id) if candidates else Position(self.clock.now(), 0)
        moved = await redrives.advance(task, moves, last, HOLD_MS)
        await redrives.finish(task, RedriveState.COMPLETED)
        return [self.ids.index(one.id) for one in candidates], moved

    async def sight(self, number: int) -> tuple[str, int | None] | None:
        seen = await self.backend.stats.sight(self.ids[number])
        if seen is None:
            return None
        assert seen.now == self.clock.now()
        return seen.queue.name, None if seen.blocked_by is None else self.ids.index(seen.blocked_by.id)

    async def view(self) -> dict[int, tuple]:
        pages = await asyncio.gather(*[self.peek(self.queues[queue]) for queue in QUEUES])
        messages = [(queue, message) for queue, page in zip(QUEUES, pages, strict=True) for message in page]
        return {
            self.ids.index(message.id): (
                *(queue, message.body, message.body_kind, message.max_retries, message.dlq),
                *(message.enqueued_at, message.not_before, message.lease_until, message.expires_at),
                *(message.delivery_count, message.last_error, (message.origin_queue, message.origin_delivery_count)),
                *(message.attributes, message.group_id, message.fence),
            )
            for queue, message in messages
        }

    async def peek(self, queue: Queue) -> list[Message]:
        states = (State.READY, State.DELAYED, State.LEASED)
        pages = [await self.backend.stats.peek(queue.partition_id, state, None, PAGE) for state in states]
        return [message for page in pages for message in page]

    async def everything(self) -> list:
        return list(await asyncio.gather(self.view(), self.depths(), self.next_due()))

    async def depths(self) -> list[tuple[int, ...]]:
        depths = await self.backend.stats.depths([self.queues[name] for name in QUEUES])
        return [(depth.ready, depth.delayed, depth.in_flight) for depth in depths]

    async def next_due(self) -> datetime | None:
        return (await self.backend.store.next_due()).at

    def partition(self, queue: str) -> int:
        return self.queues[queue].partition_id

    def handle(self, receipt: Receipt) -> Handle:
        """How the model calls the delivery, be it a new one or one that was given out before."""
        number = self.ids.index(receipt.message_id)
        of_message = [handle for handle in self.receipts if handle[0] == number]
        known = [handle for handle in of_message if self.receipts[handle] == receipt]
        handle = known[0] if known else (number, len(of_message))
        self.receipts[handle] = receipt
        return handle

    def remembered(self, lease: Lease) -> Held:
        (handle,) = [handle for handle, receipt in self.receipts.items() if receipt == lease.receipt]
        self.leases[handle, lease.lease_until] = lease
        return handle, lease.lease_until

    def settlement(self, lease: Lease, jitter: float, error: str | None, dead_ms: int) -> Settlement:
        match decide(lease, POLICIES[lease.queue], jitter, self.clock.now()):
            case Drop():
                return Delete(lease)
            case DeadLetter(dlq):
                return MoveToDlq(lease, self.queues[dlq], self.clock.now(), dead_ms, error)
            case requeue:
                return RequeueAt(lease, self.clock.now() + ms(requeue.after_ms), error)

    async def tidied(self) -> None:
        while await self.backend.store.tidy(PAGE):
            pass


def _anywhere(outcome: Acked | Refusal) -> Acked | Refusal:
    """In the model's terms partitions have no numbers."""
    return Acked(outcome.claimed_at, 0) if isinstance(outcome, Acked) else outcome
