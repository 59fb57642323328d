"""The driving ports over calls that are awaited."""

from collections.abc import Sequence
from datetime import datetime

from sqslite.adapters.client import looking_after, messaging
from sqslite.adapters.client.calls import Ask
from sqslite.domain.errors import SqsliteError
from sqslite.domain.explain import Explanation
from sqslite.domain.leases import Nack, Receipt
from sqslite.domain.messages import Accepted, NewMessage, Received
from sqslite.domain.ports import Depth, Extension, Totals
from sqslite.domain.queues import NamedQueue, QueueSettings
from sqslite.domain.redrive import RedriveTask
from sqslite.domain.use_cases import PeekPage


class AsyncMessaging:
    """See Messaging, the port."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[Accepted | SqsliteError]:
        """Enqueue messages; each gets its id or the reason why it was refused, in order."""
        return await self._ask(messaging.enqueue(queue, messages))

    async def claim(
        self,
        queue: str,
        limit: int | None = None,
        visibility_ms: int | None = None,
        wait_ms: int | None = None,
        *,
        attempt_id: str | None = None,
    ) -> Sequence[Received]:
        """Lease up to `limit` messages in the queue's order, by default oldest first; an unknown queue has none.

        `limit` None means the service's default, `visibility_ms` None or 0 the queue's, `wait_ms` None the queue's.
        """
        return await self._ask(messaging.claim(queue, limit, visibility_ms, wait_ms, attempt_id))

    async def ack(self, receipts: Sequence[Receipt]) -> list[SqsliteError | None]:
        """Delete messages whose work is done; None, or why that one was not, in order."""
        return await self._ask(messaging.ack(receipts))

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[SqsliteError | None]:
        """Delete messages by bare id, whoever holds them; None, or why not, in order."""
        return await self._ask(messaging.ack_unproven(message_ids))

    async def nack(self, nacks: Sequence[Nack]) -> list[SqsliteError | None]:
        """Give leases up: retry policy and wish decide what becomes of each message; None, or why not, in order."""
        return await self._ask(messaging.nack(nacks))

    async def extend(self, extensions: Sequence[Extension]) -> list[datetime | SqsliteError]:
        """Hold messages for `visibility_ms` from now; the new end of each lease, or why not, in order."""
        return await self._ask(messaging.extend(extensions))

    async def release(self, deliveries: Sequence[Received]) -> None:
        """Give deliveries back, so that others need not wait for their leases to end."""
        await self._ask(messaging.release(deliveries))


class AsyncAdministration:
    """See Administration, the port."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def put(self, name: str, settings: QueueSettings) -> tuple[NamedQueue, bool]:
        """The queue with exactly these settings, and whether it was created now. Raises QueueConflict."""
        return await self._ask(looking_after.put(name, settings))

    async def get(self, name: str) -> NamedQueue:
        """The queue of that name. Raises QueueNotFound."""
        return await self._ask(looking_after.get(name))

    async def delete(self, name: str) -> None:
        """Delete the queue with all its messages. Raises QueueNotFound."""
        await self._ask(looking_after.delete(name))

    async def purge(self, name: str) -> None:
        """Delete all messages that are in the queue now, leased ones too. Raises QueueNotFound."""
        await self._ask(looking_after.purge(name))

    async def pause(self, name: str) -> NamedQueue:
        """Give nothing out any more until it is resumed. Raises QueueNotFound."""
        return await self._ask(looking_after.pause(name))

    async def resume(self, name: str) -> NamedQueue:
        """Give messages out again. Raises QueueNotFound."""
        return await self._ask(looking_after.resume(name))

    async def page(self, prefix: str = "", after: str = "", limit: int | None = None) -> Sequence[NamedQueue]:
        """Queues whose names start with `prefix` and sort behind `after`, at most `limit` (None: PAGE_DEFAULT)."""
        return await self._ask(looking_after.page(prefix, after, limit))


class AsyncInspection:
    """See Inspection, the port."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def stats(self, name: str) -> tuple[Depth, Totals]:
        """How many messages are in which state, and what happened so far. Raises QueueNotFound."""
        return await self._ask(looking_after.stats(name))

    async def peek(
        self, name: str, state: str | None = None, after: str | None = None, limit: int | None = None
    ) -> PeekPage:
        """Messages in that state, or (None) in any, a page at a time. Raises QueueNotFound."""
        return await self._ask(looking_after.peek(name, state, after, limit))

    async def explain(self, message_id: int) -> Explanation:
        """How the message stands, and why it is or is not delivered now. Raises MessageNotFound."""
        return await self._ask(looking_after.explain(message_id))


class AsyncRedriveTasks:
    """See RedriveTasks, the port."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def start(
        self, name: str, to: str | None = None, max_per_second: int | None = None, limit: int | None = None
    ) -> RedriveTask:
        """Begin to move the messages that are ready now, each to its source or all to `to`. Raises RedriveConflict."""
        return await self._ask(looking_after.start(name, to, max_per_second, limit))

    async def page(self, name: str) -> Sequence[RedriveTask]:
        """The latest tasks of the queue, the newest first. Raises QueueNotFound."""
        return await self._ask(looking_after.tasks(name))

    async def cancel(self, name: str, redrive_id: int) -> RedriveTask:
        """End a running task: what it moved stays moved. Raises RedriveNotFound and RedriveConflict."""
        return await self._ask(looking_after.cancel(name, redrive_id))
