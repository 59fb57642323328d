"""The memory store: for unit tests and throw-away servers; everything is gone when the process ends."""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count, islice

from msgspec import Struct
from msgspec.structs import replace

from sqslite.domain.leases import Acked, Lease, Receipt, Refusal, secret_of
from sqslite.domain.lifecycle import State, state_of
from sqslite.domain.limits import VISIBILITY_MS_MAX, ms
from sqslite.domain.messages import Delivery, Message, NewMessage
from sqslite.domain.ports import Clock, Depth, Expired, Extension, Held, MoveToDlq, NextDue, Settlement
from sqslite.domain.queues import Queue, QueueSettings


class _Row(Struct, kw_only=True):
    id: int
    partition_id: int
    content: NewMessage
    enqueued_at: datetime
    not_before: datetime
    lease_until: datetime | None = None
    claimed_at: datetime | None = None
    delivery_count: int = 0
    dlq: str | None = None
    secret: bytes | None = None
    last_error: str | None = None
    origin_queue: str | None = None
    origin_delivery_count: int | None = None

    def current(self, receipt: Receipt) -> bool:
        return self.partition_id == receipt.partition_id and self.secret == receipt.secret


# An entry says when a row becomes due; one that the row has outlived is dropped when it comes up.
_Heap = list[tuple[datetime, int]]


class MemoryStore:
    """All three store ports over dictionaries and heaps; a call runs without a pause, so it is atomic."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ids = count(1)
        self._queues: dict[str, Queue] = {}
        self._names: dict[int, str] = {}
        self._rows: dict[int, _Row] = {}
        self._ready: defaultdict[int, _Heap] = defaultdict(list)
        self._leased: defaultdict[int, _Heap] = defaultdict(list)

    # Store

    async def enqueue(self, partition_id: int, messages: Sequence[NewMessage]) -> list[int]:
        """Keep the messages in order."""
        now = self._clock.now()
        rows = [
            _Row(
                id=next(self._ids),
                partition_id=partition_id,
                content=message,
                enqueued_at=now,
                not_before=now + ms(message.delay_ms or 0),
                dlq=message.dlq,
            )
            for message in messages
        ]
        for row in rows:
            self._rows[row.id] = row
            self._make_ready(row)
        return [row.id for row in rows]

    async def claim(self, partition_id: int, limit: int, visibility_ms: int, secrets: bytes) -> list[Delivery]:
        """Lease what has been ready longest."""
        now = self._clock.now()
        heap = self._ready[partition_id]
        deliveries: list[Delivery] = []
        while heap and len(deliveries) < limit and heap[0][0] <= now:
            row = self._pop_ready(partition_id)
            if row is not None:
                row.secret = secret_of(secrets, len(deliveries))
                row.delivery_count += 1
                row.claimed_at = now
                self._lease(row, now + ms(visibility_ms))
                deliveries.append(Delivery(_message(row), _receipt(row)))
        return deliveries

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """Delete what the receipts prove; one given twice counts twice."""
        outcomes = [self._looked_up(receipt) for receipt in receipts]
        for outcome in outcomes:
            if isinstance(outcome, _Row):
                self._rows.pop(outcome.id, None)
        return [Acked(outcome.claimed_at) if isinstance(outcome, _Row) else outcome for outcome in outcomes]

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[Acked | Refusal]:
        """Delete by bare id."""
        rows = [self._rows.get(message_id) for message_id in message_ids]
        for message_id in message_ids:
            self._rows.pop(message_id, None)
        return [Acked(row.claimed_at) if row else Refusal.MISSING for row in rows]

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        """Lease until now + visibility."""
        return [self._extended(extension) for extension in extensions]

    async def held(self, partition_id: int, receipts: Sequence[Receipt]) -> Held:
        """Look leases up by receipt."""
        outcomes = [self._looked_up(receipt) for receipt in receipts]
        return Held(self._clock.now(), [self._held(o) if isinstance(o, _Row) else o for o in outcomes])

    async def expired(self, limit: int, partition_id: int | None = None) -> Expired:
        """Read leases that ended."""
        now = self._clock.now()
        partitions = list(self._leased) if partition_id is None else [partition_id]
        rows = (row for partition in partitions for row in self._ended(partition, now))
        return Expired(now, [self._lease_of(row) for row in islice(rows, limit)])

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Apply what was decided where the lease is unchanged."""
        return [self._settled(settlement) for settlement in settlements]

    async def next_due(self) -> NextDue:
        """The earliest end of a lease."""
        ends = [row.lease_until for partition in list(self._leased) for row in self._ended(partition, None)]
        return NextDue(self._clock.now(), min((end for end in ends if end), default=None))

    # QueueCatalog

    async def find(self, name: str) -> Queue | None:
        """Look a queue up."""
        return self._queues.get(name)

    async def ensure(self, name: str, settings: QueueSettings) -> Queue:
        """Look a queue up or create it."""
        if name not in self._queues:
            partition_id = len(self._queues) + 1
            self._queues[name] = Queue(name=name, partition_id=partition_id, settings=settings)
            self._names[partition_id] = name
        return self._queues[name]

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """Create a queue or change its settings."""
        created = name not in self._queues
        self._queues[name] = replace(await self.ensure(name, settings), settings=settings)
        return self._queues[name], created

    async def page(self, after: str, limit: int, prefix: str = "") -> list[Queue]:
        """Queues by name."""
        names = [name for name in sorted(self._queues) if name > after and name.startswith(prefix)]
        return [self._queues[name] for name in names[:limit]]

    # QueueStats

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        """Count by state."""
        return [self._depth(queue) for queue in queues]

    async def peek(self, partition_id: int, after_id: int, limit: int) -> list[Message]:
        """Show messages by id."""
        ids = sorted(row.id for row in self._rows.values() if row.partition_id == partition_id and row.id > after_id)
        return [_message(self._rows[message_id]) for message_id in ids[:limit]]

    # Backend

    @property
    def store(self) -> "MemoryStore":
        """Messages and leases."""
        return self

    @property
    def catalog(self) -> "MemoryStore":
        """Queues."""
        return self

    @property
    def stats(self) -> "MemoryStore":
        """Counts and peeks."""
        return self

    async def open(self) -> None:
        """Nothing to connect to."""

    async def migrate(self) -> list[str]:
        """Nothing to migrate."""
        return []

    async def ping(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to let go of: a store that is opened again still has its messages."""

    # How it is done

    def _make_ready(self, row: _Row) -> None:
        row.lease_until = None
        heapq.heappush(self._ready[row.partition_id], (row.not_before, row.id))

    def _lease(self, row: _Row, until: datetime) -> None:
        row.lease_until = until
        heapq.heappush(self._leased[row.partition_id], (until, row.id))

    def _pop_ready(self, partition_id: int) -> _Row | None:
        not_before, message_id = heapq.heappop(self._ready[partition_id])
        row = self._rows.get(message_id)
        if row is None or row.partition_id != partition_id or row.lease_until or row.not_before != not_before:
            return None
        return row

    def _ended(self, partition_id: int, now: datetime | None) -> list[_Row]:
        """The rows of leases that ended by `now`, longest ended first; None: only the first to end, whenever."""
        heap = self._leased[partition_id]
        rows: list[_Row] = []
        entries: _Heap = []
        while heap and (heap[0][0] <= now if now else not rows):
            entry = heapq.heappop(heap)
            row = self._rows.get(entry[1])
            if row and row.partition_id == partition_id and row.lease_until == entry[0] and entry not in entries[-1:]:
                rows.append(row)
                entries.append(entry)
        for entry in entries:
            heapq.heappush(heap, entry)
        return rows

    def _looked_up(self, receipt: Receipt) -> _Row | Refusal:
        row = self._rows.get(receipt.message_id)
        if row is None:
            return Refusal.MISSING
        return row if row.current(receipt) else Refusal.STALE

    def _extended(self, extension: Extension) -> datetime | Refusal:
        row = self._looked_up(extension.receipt)
        if isinstance(row, Refusal):
            return row
        until = self._clock.now() + ms(extension.visibility_ms)
        if row.claimed_at is None or until > row.claimed_at + ms(VISIBILITY_MS_MAX):
            return Refusal.TOO_LONG
        self._lease(row, until)
        return until

    def _held(self, row: _Row) -> Lease | Refusal:
        return Refusal.STALE if row.lease_until is None else self._lease_of(row)

    def _lease_of(self, row: _Row) -> Lease:
        assert row.lease_until is not None
        return Lease(
            queue=self._names[row.partition_id],
            receipt=_receipt(row),
            lease_until=row.lease_until,
            delivery_count=row.delivery_count,
            max_retries=row.content.max_retries,
            dlq=row.dlq,
        )

    def _settled(self, settlement: Settlement) -> bool:
        row = self._looked_up(settlement.lease.receipt)
        if isinstance(row, Refusal) or row.lease_until != settlement.lease.lease_until:
            return False
        if settlement.error is not None:
            row.last_error = settlement.error
        row.not_before = settlement.not_before
        if isinstance(settlement, MoveToDlq):
            row.origin_queue = settlement.lease.queue
            row.origin_delivery_count = row.delivery_count
            row.partition_id = settlement.dlq_partition_id
            row.delivery_count = 0
            row.dlq = None
            row.secret = None
            row.claimed_at = None
        self._make_ready(row)
        return True

    def _depth(self, queue: Queue) -> Depth:
        now = self._clock.now()
        rows = [row for row in self._rows.values() if row.partition_id == queue.partition_id]
        states = [state_of(row.not_before, row.lease_until, now) for row in rows]
        oldest = min(
            (row.not_before for row, state in zip(rows, states, strict=True) if state is State.READY), default=None
        )
        return Depth(
            queue=queue.name,
            ready=states.count(State.READY),
            delayed=states.count(State.DELAYED),
            in_flight=states.count(State.LEASED),
            oldest_ready_age_ms=None if oldest is None else (now - oldest) // timedelta(milliseconds=1),
        )


def _receipt(row: _Row) -> Receipt:
    assert row.secret is not None
    return Receipt(row.partition_id, row.id, row.delivery_count, row.secret)


def _message(row: _Row) -> Message:
    return Message(
        id=row.id,
        body=row.content.body,
        body_kind=row.content.body_kind,
        enqueued_at=row.enqueued_at,
        not_before=row.not_before,
        lease_until=row.lease_until,
        delivery_count=row.delivery_count,
        max_retries=row.content.max_retries,
        dlq=row.dlq,
        trace_id=row.content.trace_id,
        last_error=row.last_error,
        origin_queue=row.origin_queue,
        origin_delivery_count=row.origin_delivery_count,
    )
