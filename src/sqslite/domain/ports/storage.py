"""Where messages live. The conventions of every store port are those of the package."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from sqslite.domain.leases import Acked, Lease, Receipt, Refusal
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Accepted, Delivery, Message, NewMessage
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.domain.redrive import Redrive, RedriveState


class PartitionDropped(Exception):
    """The queue's partition is no longer its own: the queue was purged or deleted meanwhile. Nothing was done."""


class Claim(Struct, frozen=True, kw_only=True):
    """A wish to lease up to `limit` messages for `visibility_ms`.

    `secrets` holds SECRET_BYTES for each message of the limit. `attempt_id` None: a claim that is not repeated.
    `whole_groups`: from a FIFO queue, as many as there are of one group before any of the next.
    """

    limit: int
    visibility_ms: int
    secrets: bytes
    attempt_id: str | None = None
    whole_groups: bool = False


class Extension(Struct, frozen=True):
    """A wish to hold a message `visibility_ms` (> 0) longer, counted from now."""

    receipt: Receipt
    visibility_ms: int


class Expired(Struct, frozen=True):
    """Leases that had ended at `now`, the store's own time, which settlements are reckoned from."""

    now: datetime
    leases: list[Lease]


class Held(Struct, frozen=True):
    """Leases as their holders know them, at `now`, the store's own time."""

    now: datetime
    leases: list[Lease | Refusal]


class RequeueAt(Struct, frozen=True):
    """Settle a lease: claimable again from `not_before`. `error` None keeps the last error."""

    lease: Lease
    not_before: datetime
    error: str | None = None


class MoveToDlq(Struct, frozen=True):
    """Settle a lease: the message goes to the dead-letter queue, claimable from `not_before`.

    It keeps id, body, attributes, group, `dedup_id`, `enqueued_at`, `max_retries` and `trace_id`, has `dlq_kept` as its
    own DLQ, starts there with no deliveries (`deliveries_before` grows by those it had), and records its origin queue
    and delivery count.
    It is kept until `enqueued_at` + `retention_ms`, in a FIFO queue until `not_before` + `retention_ms`; 0 means for
    ever.
    Not applied where the partition of `dlq` was dropped meanwhile.
    """

    lease: Lease
    dlq: Queue
    not_before: datetime
    retention_ms: int
    error: str | None = None

    @property
    def kept_since(self) -> datetime | None:
        """From when its retention counts; None: from its `enqueued_at`.

        SQS developer guide, dead-letter queue retention: the enqueue timestamp resets for FIFO queues only.
        """
        return self.not_before if self.dlq.settings.fifo else None

    @property
    def dlq_kept(self) -> str | None:
        """The DLQ that the message named, where it goes there now: so it has it again when it is redriven."""
        return self.dlq.name if self.lease.dlq == self.dlq.name else None


class Delete(Struct, frozen=True):
    """Settle a lease: the message is gone, because its retention is over."""

    lease: Lease


Settlement = RequeueAt | MoveToDlq | Delete


class NextDue(Struct, frozen=True):
    """When the next lease expires, by the store's own time. `at` None: nothing is leased."""

    now: datetime
    at: datetime | None


class Store(Protocol):
    """The hot path: messages and their leases, one partition at a time."""

    async def enqueue(self, queue: Queue, messages: Sequence[NewMessage]) -> list[Accepted]:
        """Keep the messages, in order, and give each its id: below 2^53, growing within a call.

        A message whose dedup_id the partition, or by `dedup_scope` its group there, has accepted within the queue's
        `dedup_ms` (None: DEDUP_MS_DEFAULT) is not kept: it is answered with the id of that one, whatever became of it;
        so are repetitions within the call.
        In a FIFO queue, ids of a group grow in the order in which its messages become visible to claims.
        Raises PartitionDropped.
        """
        ...

    async def claim(self, queue: Queue, claim: Claim) -> list[Delivery]:
        """Lease up to the claim's limit of claimable messages and count the delivery, noting when the first one was.

        Claimable is what is not leased, whose `not_before` has come and whose retention is not over. Nothing is
        while the queue is paused, or was purged or deleted since `queue` was read. No message is handed to two claims.

        Which ones: STANDARD takes the oldest `not_before` first. FAIR and FIFO take one of each group in turn, the
        least recently served group first, then a second of each, and so on, up to the limit; a group that comes new
        counts as just served; messages in no group are one group; within a group FAIR takes the oldest `not_before`
        first, FIFO the lowest id. With `whole_groups` and a limit of up to 100, FIFO takes as many as there are of the
        first group before any of the second, and so on. FIFO takes none of a group of which another message is leased,
        or has been delivered and waits for its `not_before` while it is kept. What was enqueued before `fair` was
        switched on follows when no group has any. They are answered in the order of `not_before` and id, in a FIFO
        queue of id.

        A claim with an attempt_id that has leased messages within ATTEMPT_MS, and any of whose leases stand still,
        leases nothing: it answers with those deliveries as they are, receipts and all; with none while the queue is
        paused.
        """
        ...

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """Delete each message whose receipt is current, leased or not; what was purged is missing from then on."""
        ...

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[Acked | Refusal]:
        """Delete messages by bare id, whatever their state and partition: the reference's ack."""
        ...

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        """Lease each message until now + visibility where its receipt is current; the new `lease_until`.

        Refusal.TOO_LONG where the lease would end over 12 hours after its claim.
        """
        ...

    async def held(self, partition_id: int, receipts: Sequence[Receipt]) -> Held:
        """The lease behind each receipt; Refusal.STALE also where it is current but its lease was settled."""
        ...

    async def expired(self, limit: int, partition_id: int | None = None) -> Expired:
        """Up to `limit` leases that have ended, the longest ended first per partition; None means every partition."""
        ...

    async def expire(self, limit: int) -> int:
        """Delete up to `limit` messages of any queue, not leased, whose retention is over; how many it were."""
        ...

    async def retain(self, limit: int) -> bool:
        """Go through up to `limit` messages of a queue whose retention was changed; True where more is left to do.

        One that was kept for as long as the queue said before, counted from its `enqueued_at`, is kept for as long as
        it says now; one with a retention of its own, or that counts from elsewhere, is left. It begins
        RETENTION_CHANGE_MS after the change, when no node knows the retention before any more.
        """
        ...

    async def tidy(self, limit: int) -> int:
        """Delete up to `limit` rows that mean nothing any more.

        Those are messages of dropped partitions, past dedup_ids, redrive tasks that ended REDRIVE_KEPT_MS ago, and
        what is known of queues that were deleted DELETED_KNOWN_MS ago.
        How many it were; 0 says that there is nothing left to do.
        """
        ...

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Apply each settlement whose lease is unchanged (same secret, same `lease_until`); True where it was.

        The receipt stays current after a requeue, so that work done late can still be acked.
        """
        ...

    async def next_due(self) -> NextDue:
        """When the next lease of any partition ends; it may lie in the past."""
        ...

    async def claimable(self, queues: Sequence[str]) -> list[str]:
        """Those of the queues, by name, in which there is something for a claim to look at; in any order.

        That is a message whose time has come or a lease that has ended, be it that its group has to wait. There is
        nothing in queues that are paused or unknown.
        """
        ...


Change = Callable[[QueueSettings], QueueSettings]


class QueueCatalog(Protocol):
    """The queues there are."""

    async def find(self, name: str) -> Queue | None:
        """The queue of that name, None where there is none."""
        ...

    async def ensure(self, name: str, settings: QueueSettings) -> Queue:
        """The queue of that name; created with the settings where there was none, else as it is."""
        ...

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """The queue of that name with exactly these settings, changed now where they are other than before.

        True where it was created now. Raises QueueConflict where `fifo` would change.
        """
        ...

    async def change(self, name: str, change: Change) -> Queue | None:
        """Give the queue the settings that `change` makes of those it has, with nobody in between; `fifo` stays.

        None where there is no queue. What `change` raises is raised, and nothing was done. It may be asked twice.
        """
        ...

    async def renew(self, name: str) -> Queue | None:
        """Give the queue a new, empty partition in one step and drop the old one; None where there is no queue.

        Totals go along, messages and remembered dedup_ids do not; it notes that it was purged now.
        """
        ...

    async def drop(self, name: str) -> bool:
        """Delete the queue, drop its partition and note when; False where there is no queue."""
        ...

    async def deleted_at(self, name: str) -> datetime | None:
        """When a queue of that name was deleted last; None where none was within DELETED_KNOWN_MS."""
        ...

    async def sources(self, dlq: str, after: str, limit: int) -> list[Queue]:
        """Up to `limit` queues whose settings name that dlq and that sort behind `after`, in the order of a page."""
        ...

    async def pause(self, name: str, paused: bool) -> Queue | None:
        """Pause the queue or let it go on; None where there is no queue."""
        ...

    async def page(self, after: str, limit: int, prefix: str = "") -> list[Queue]:
        """Up to `limit` queues whose names start with `prefix` and sort behind `after` (bytewise), in that order.

        "" as `after` starts at the first.
        """
        ...


class Depth(Struct, frozen=True, kw_only=True):
    """How many messages of a queue are in which state at one instant.

    `oldest_ready_age_ms` is how long the first in line has been claimable, None where nothing is ready.
    Counts up to DEPTH_EXACT_MAX are exact; `approximate` says that one is beyond it and was estimated.
    """

    queue: str
    ready: int
    delayed: int
    in_flight: int
    oldest_ready_age_ms: int | None
    approximate: bool = False


class Totals(Struct, kw_only=True):
    """How many messages of a queue were ever enqueued (duplicates not), received, acked and dead-lettered."""

    enqueued: int = 0
    received: int = 0
    acked: int = 0
    dead_lettered: int = 0

    def __add__(self, more: "Totals") -> "Totals":
        """Both together."""
        return Totals(
            enqueued=self.enqueued + more.enqueued,
            received=self.received + more.received,
            acked=self.acked + more.acked,
            dead_lettered=self.dead_lettered + more.dead_lettered,
        )


class Position(Struct, frozen=True):
    """A place in the order of `at` and id: `not_before` of ready and delayed messages, `lease_until` of leased ones."""

    at: datetime
    id: int


class Blocker(Struct, frozen=True, kw_only=True):
    """A message that others of its group wait for, as far as it says for how long; None means as in Message."""

    id: int
    not_before: datetime
    lease_until: datetime | None
    expires_at: datetime | None


class Sighting(Struct, frozen=True, kw_only=True):
    """A message as it stands at `now`, the store's own time.

    `blocked_by` is the message of its group that a FIFO queue waits for before it gives this one; None where none is,
    and for a message that is leased, which waits for nothing.
    """

    now: datetime
    queue: Queue
    message: Message
    blocked_by: Blocker | None


class QueueStats(Protocol):
    """What there is to see without touching a message."""

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        """The depth of each queue, in order, in a time that does not grow with the messages."""
        ...

    async def totals(self, partition_ids: Sequence[int]) -> list[Totals]:
        """What was added up for each partition, in order."""
        ...

    async def add(self, totals: Mapping[int, Totals]) -> None:
        """Add to the totals of partitions; those that were dropped are passed over."""
        ...

    async def peek(self, partition_id: int, state: State, after: Position | None, limit: int) -> list[Message]:
        """Up to `limit` READY, DELAYED or LEASED messages behind the position (None: from the first), in its order."""
        ...

    async def sight(self, message_id: int) -> Sighting | None:
        """The message of that id in whichever queue, None where there is none."""
        ...


class Move(Struct, frozen=True, kw_only=True):
    """A dead letter to be moved on to `target`, where it starts anew.

    It keeps id, body, attributes, group, `dedup_id`, `enqueued_at`, `max_retries`, `trace_id` and last error, has no
    origin and no deliveries (`deliveries_before` grows by those it had), may be claimed at once, is kept for
    `retention_ms` from now (0: for ever) and has `dlq` as its own (None: what the target says).
    """

    message_id: int
    target: Queue
    dlq: str | None
    retention_ms: int


class Redrives(Protocol):
    """Tasks that move dead letters on; each is carried out in steps, by one node at a time, and outlives any node."""

    async def create(self, redrive: Redrive) -> Redrive:
        """Keep a new task, with an id of its own, created now by the store's own time.

        Raises RedriveConflict where one of the same queue runs.
        """
        ...

    async def page(self, partition_id: int, limit: int) -> list[Redrive]:
        """The latest tasks of a partition, the newest first."""
        ...

    async def cancel(self, partition_id: int, redrive_id: int) -> Redrive | None:
        """End a running task; as it is where it runs no longer; None where the partition has no such task."""
        ...

    async def take(self, hold_ms: int) -> Redrive | None:
        """A running task that no node holds, or whose node has held it for too long; held for `hold_ms` now."""
        ...

    async def candidates(self, redrive: Redrive, limit: int) -> list[Message]:
        """The next READY messages of the task's queue behind its position, that came no later than the task."""
        ...

    async def advance(self, redrive: Redrive, moves: Sequence[Move], position: Position, hold_ms: int) -> int | None:
        """Move those that are still READY, and keep count, position and hold with it, in one step; how many it were.

        None where the task was ended or taken by another node meanwhile: then nothing was done. A message whose target
        partition was dropped stays.
        """
        ...

    async def finish(self, redrive: Redrive, state: RedriveState) -> None:
        """End the task, unless it ended already."""
        ...
