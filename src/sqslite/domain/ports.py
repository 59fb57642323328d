"""What the domain needs from the world. Adapters implement these; nothing here does I/O.

Conventions of every store port: calls take and return batches and report what they changed; results
come in the order of what was asked; every write is guarded, so repeating it or racing it is harmless;
a call that returns has been committed. Besides what a method names, any of them raises
StoreUnavailable (nothing was done), Overloaded (nothing was done) or OutcomeUnknown (a write may have
happened).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from sqslite.domain.leases import Acked, Lease, Receipt, Refusal
from sqslite.domain.messages import Delivery, Message, NewMessage
from sqslite.domain.queues import Queue, QueueSettings


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
    """Settle a lease: the message goes to the dead-letter partition, claimable from `not_before`.

    It keeps id, body, `enqueued_at`, `max_retries` and `trace_id`, starts there with no deliveries and no DLQ,
    and records its origin queue and delivery count.
    """

    lease: Lease
    dlq_partition_id: int
    not_before: datetime
    error: str | None = None


Settlement = RequeueAt | MoveToDlq


class NextDue(Struct, frozen=True):
    """When the next lease expires, by the store's own time. `at` None: nothing is leased."""

    now: datetime
    at: datetime | None


class Store(Protocol):
    """The hot path: messages and their leases, one partition at a time."""

    async def enqueue(self, partition_id: int, messages: Sequence[NewMessage]) -> list[int]:
        """Keep the messages, in order, and give each its id: below 2^53, growing within a call."""
        ...

    async def claim(self, partition_id: int, limit: int, visibility_ms: int, secrets: bytes) -> list[Delivery]:
        """Lease up to `limit` claimable messages, oldest `not_before` first, and count the delivery.

        `secrets` holds SECRET_BYTES for each message of the limit. No message is handed to two claims.
        """
        ...

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """Delete each message whose receipt is current, leased or not."""
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

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Apply each settlement whose lease is unchanged (same secret, same `lease_until`); True where it was.

        The receipt stays current after a requeue, so that work done late can still be acked.
        """
        ...

    async def next_due(self) -> NextDue:
        """When the next lease of any partition ends; it may lie in the past."""
        ...


class QueueCatalog(Protocol):
    """The queues there are."""

    async def find(self, name: str) -> Queue | None:
        """The queue of that name, None where there is none."""
        ...

    async def ensure(self, name: str, settings: QueueSettings) -> Queue:
        """The queue of that name; created with the settings where there was none, else as it is."""
        ...

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """The queue of that name with exactly these settings; True where it was created now."""
        ...

    async def page(self, after: str, limit: int, prefix: str = "") -> list[Queue]:
        """Up to `limit` queues whose names start with `prefix` and sort behind `after` (bytewise), in that order.

        "" as `after` starts at the first.
        """
        ...


class Depth(Struct, frozen=True, kw_only=True):
    """How many messages of a queue are in which state at one instant.

    `oldest_ready_age_ms` is how long the first in line has been claimable, None where nothing is ready.
    """

    queue: str
    ready: int
    delayed: int
    in_flight: int
    oldest_ready_age_ms: int | None


class QueueStats(Protocol):
    """What there is to see without touching a message."""

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        """The depth of each queue, in order."""
        ...

    async def peek(self, partition_id: int, after_id: int, limit: int) -> list[Message]:
        """Up to `limit` messages with an id above `after_id`, by id, without leasing them."""
        ...


class Watch(Protocol):
    """One waiter's eye on a queue, from the moment it was opened."""

    @property
    def over(self) -> bool:
        """True once nobody shall wait any longer, because the process is to end."""
        ...

    async def wait(self, until: datetime) -> None:
        """Return once messages may have come since the watch was opened or last returned, or at `until`.

        It may return for nothing: whoever waits looks again.
        """
        ...


class Wakeups(Protocol):
    """Tells waiters of a queue that messages came. A hint: whoever waits also looks now and then by itself."""

    def watching(self, queue: str) -> AbstractContextManager[Watch]:
        """Watch the queue for the time of the block; what comes after this is not missed.

        Raises Overloaded where too many wait already.
        """
        ...

    def notify(self, queue: str, count: int) -> None:
        """`count` messages may have become claimable: as many waiters are woken, the longest waiting first."""
        ...


class Clock(Protocol):
    """Time, so that a test can move it."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        ...

    async def sleep_until(self, instant: datetime) -> None:
        """Return once `now() >= instant`."""
        ...


class Entropy(Protocol):
    """Randomness, so that a test can foretell it."""

    def secrets(self, count: int) -> bytes:
        """`count` unguessable secrets of SECRET_BYTES each, one behind another."""
        ...

    def jitter(self) -> float:
        """A number in 0..1, evenly spread."""
        ...


class Observer(Protocol):
    """Is told what happened, for metrics and logs. It never raises and never waits."""

    def enqueued(self, queue: str, count: int) -> None:
        """`count` messages were committed to the queue."""
        ...

    def claimed(self, queue: str, count: int) -> None:
        """`count` messages of the queue were leased."""
        ...

    def acked(self, lease_age_ms: Sequence[float]) -> None:
        """A message each was acked; the age is the time since its claim, negative where it had none."""
        ...

    def requeued(self, count: int) -> None:
        """`count` ended leases made their messages claimable again."""
        ...

    def dead_lettered(self, count: int) -> None:
        """`count` messages were moved to their dead-letter queues."""
        ...

    def swept(self, duration_s: float) -> None:
        """A sweep ended, having taken that many seconds."""
        ...

    def sweep_failed(self, error: Exception, retry_in_ms: int) -> None:
        """A sweep failed and will be tried again in `retry_in_ms` milliseconds."""
        ...
