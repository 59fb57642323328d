"""A store whose every call passes through one place: the ground that decorators stand on."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqslite.domain.leases import Acked, Receipt, Refusal
from sqslite.domain.messages import Accepted, Delivery, NewMessage
from sqslite.domain.ports import Claim, Expired, Extension, Held, NextDue, Settlement, Store
from sqslite.domain.queues import Queue

T = TypeVar("T")


class InterceptedStore:
    """Hands every call to `intercept`, which by default just makes it."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call of that port method, or do something about it."""
        return await call()

    async def enqueue(self, queue: Queue, messages: Sequence[NewMessage]) -> list[Accepted]:
        """See Store."""
        return await self.intercept("enqueue", lambda: self._inner.enqueue(queue, messages))

    async def claim(self, queue: Queue, claim: Claim) -> list[Delivery]:
        """See Store."""
        return await self.intercept("claim", lambda: self._inner.claim(queue, claim))

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """See Store."""
        return await self.intercept("ack", lambda: self._inner.ack(partition_id, receipts))

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[Acked | Refusal]:
        """See Store."""
        return await self.intercept("ack_unproven", lambda: self._inner.ack_unproven(message_ids))

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        """See Store."""
        return await self.intercept("extend", lambda: self._inner.extend(partition_id, extensions))

    async def held(self, partition_id: int, receipts: Sequence[Receipt]) -> Held:
        """See Store."""
        return await self.intercept("held", lambda: self._inner.held(partition_id, receipts))

    async def expired(self, limit: int, partition_id: int | None = None) -> Expired:
        """See Store."""
        return await self.intercept("expired", lambda: self._inner.expired(limit, partition_id))

    async def expire(self, limit: int) -> int:
        """See Store."""
        return await self.intercept("expire", lambda: self._inner.expire(limit))

    async def retain(self, limit: int) -> bool:
        """See Store."""
        return await self.intercept("retain", lambda: self._inner.retain(limit))

    async def tidy(self, limit: int) -> int:
        """See Store."""
        return await self.intercept("tidy", lambda: self._inner.tidy(limit))

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """See Store."""
        return await self.intercept("settle", lambda: self._inner.settle(partition_id, settlements))

    async def next_due(self) -> NextDue:
        """See Store."""
        return await self.intercept("next_due", self._inner.next_due)

    async def claimable(self, queues: Sequence[str]) -> list[str]:
        """See Store."""
        return await self.intercept("claimable", lambda: self._inner.claimable(queues))
