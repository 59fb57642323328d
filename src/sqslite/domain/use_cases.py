"""What sqslite does for whom: the driving ports, split by consumer.

The domain's own services implement them in this process, and the client implements them over the network: who is
written against these works with either. Calls take and return batches; results come in the order of what was asked,
and a refusal of one entry is its result rather than an exception. Besides what a method names, any of them raises
StoreUnavailable or Overloaded (nothing was done) or OutcomeUnknown (it may have happened).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from sqslite.domain.errors import SqsliteError
from sqslite.domain.explain import Explanation
from sqslite.domain.leases import Nack, Receipt
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Accepted, Message, NewMessage, Received
from sqslite.domain.ports import Depth, Extension, Totals
from sqslite.domain.queues import NamedQueue, QueueSettings
from sqslite.domain.redrive import RedriveTask

if TYPE_CHECKING:
    from sqslite.domain.administration import QueueAdministration
    from sqslite.domain.inspection import QueueInspection
    from sqslite.domain.redriving import Redriving
    from sqslite.domain.service import QueueService


class PeekPage(Struct, frozen=True):
    """Messages with their states; `after` leads to the next page, None where this is the last."""

    messages: list[tuple[State, Message]]
    after: str | None


class Messaging(Protocol):
    """For those who send messages and those who work on them."""

    async def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[Accepted | SqsliteError]:
        """Enqueue messages; each gets its id or the reason why it was refused, in order.

        A queue comes into being with its first message. A message whose dedup_id was accepted before is answered with
        the id of that one. Raises InvalidValue for a bad queue name.
        """
        ...

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
        With a wait, an answer comes as soon as there is a message, and an empty one when it is over.
        A claim that is tried again with the attempt_id of one that leased messages within ATTEMPT_MS gets those again,
        with their receipts, as long as their leases stand, and holds them for `visibility_ms` from now. Raises
        InvalidValue.
        """
        ...

    async def ack(self, receipts: Sequence[Receipt]) -> list[SqsliteError | None]:
        """Delete messages whose work is done; None, or why that one was not, in order."""
        ...

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[SqsliteError | None]:
        """Delete messages by bare id, whoever holds them; None, or why not, in order."""
        ...

    async def nack(self, nacks: Sequence[Nack]) -> list[SqsliteError | None]:
        """Give leases up: retry policy and wish decide what becomes of each message; None, or why not, in order."""
        ...

    async def extend(self, extensions: Sequence[Extension]) -> list[datetime | SqsliteError]:
        """Hold messages for `visibility_ms` from now; the new end of each lease, or why not, in order.

        A visibility of 0 releases the message. A lease lasts 12 hours from its claim at most.
        """
        ...

    async def release(self, deliveries: Sequence[Received]) -> None:
        """Give deliveries back that reached nobody, so that others need not wait for their leases to end."""
        ...


class Administration(Protocol):
    """For those who look after queues."""

    async def put(self, name: str, settings: QueueSettings) -> tuple[NamedQueue, bool]:
        """The queue with exactly these settings, and whether it was created now.

        Raises InvalidValue, and QueueConflict where `fifo` would change.
        """
        ...

    async def get(self, name: str) -> NamedQueue:
        """The queue of that name. Raises QueueNotFound."""
        ...

    async def delete(self, name: str) -> None:
        """Delete the queue with all its messages. Raises QueueNotFound."""
        ...

    async def purge(self, name: str) -> None:
        """Delete all messages that are in the queue now, leased ones too; what comes later stays.

        Raises QueueNotFound.
        """
        ...

    async def pause(self, name: str) -> NamedQueue:
        """Give nothing out any more until it is resumed; all else goes on. Raises QueueNotFound."""
        ...

    async def resume(self, name: str) -> NamedQueue:
        """Give messages out again. Raises QueueNotFound."""
        ...

    async def page(self, prefix: str = "", after: str = "", limit: int | None = None) -> Sequence[NamedQueue]:
        """Queues whose names start with `prefix` and sort behind `after`, at most `limit` (None: PAGE_DEFAULT).

        Raises InvalidValue.
        """
        ...


class Inspection(Protocol):
    """For those who look at queues and messages without touching them."""

    async def stats(self, name: str) -> tuple[Depth, Totals]:
        """How many messages are in which state, and what happened so far. Raises QueueNotFound."""
        ...

    async def peek(self, name: str, state: str | None, after: str | None, limit: int | None) -> PeekPage:
        """Messages in that state, or (None) the ready, then the delayed, then the leased ones, a page at a time.

        `after` comes from the page before (None: the first one); `limit` None means PAGE_DEFAULT. Raises QueueNotFound
        and InvalidValue.
        """
        ...

    async def explain(self, message_id: int) -> Explanation:
        """How the message stands, and why it is or is not delivered now. Raises MessageNotFound."""
        ...


class RedriveTasks(Protocol):
    """For those who send dead letters on."""

    async def start(
        self, name: str, to: str | None = None, max_per_second: int | None = None, limit: int | None = None
    ) -> RedriveTask:
        """Begin to move the messages that are ready in the queue now, each to its source or all to the queue `to`.

        Raises QueueNotFound, InvalidValue, and RedriveConflict where one of this queue runs.
        """
        ...

    async def page(self, name: str) -> Sequence[RedriveTask]:
        """The latest tasks of the queue, the newest first, at most PAGE_TASKS_MAX. Raises QueueNotFound."""
        ...

    async def cancel(self, name: str, redrive_id: int) -> RedriveTask:
        """End a running task: what it moved stays moved. Raises QueueNotFound, RedriveNotFound, RedriveConflict."""
        ...


if TYPE_CHECKING:

    def _implemented_by(
        service: QueueService, administration: QueueAdministration, inspection: QueueInspection, redriving: Redriving
    ) -> tuple[Messaging, Administration, Inspection, RedriveTasks]:
        """The type checker holds the domain's services to the ports here."""
        return service, administration, inspection, redriving
