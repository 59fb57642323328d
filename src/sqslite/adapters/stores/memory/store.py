"""Messages and leases in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from sqslite.adapters.stores.memory.rows import Row
from sqslite.adapters.stores.memory.state import MemoryState, Partition
from sqslite.domain.accepting import dedup_key
from sqslite.domain.leases import Acked, Receipt, Refusal, secret_of
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import (
    ATTEMPT_MS,
    DEDUP_MS_DEFAULT,
    RETENTION_CHANGE_MS,
    VISIBILITY_MS_MAX,
    ms,
)
from sqslite.domain.messages import Accepted, Delivery, NewMessage
from sqslite.domain.ports import (
    Claim,
    Delete,
    Expired,
    Extension,
    Held,
    Move,
    MoveToDlq,
    NextDue,
    RequeueAt,
    Settlement,
)
from sqslite.domain.queues import Discipline, Queue, kept_until


class MemoryMessages:
    """The Store port."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def enqueue(self, queue: Queue, messages: Sequence[NewMessage]) -> list[Accepted]:
        """Keep the messages in order."""
        self._state.live(queue)
        now = self._state.clock.now()
        return [self._accepted(queue, message, now) for message in messages]

    async def claim(self, queue: Queue, claim: Claim) -> list[Delivery]:
        """Lease what is first in the queue's order."""
        current = self._state.queue_of(queue.partition_id)
        if current is None or current.paused:
            return []
        discipline = queue.settings.discipline
        partition = self._state.partitions[queue.partition_id]
        rows = [] if claim.attempt_id is None else self._claimed_by(partition, claim.attempt_id)
        if not rows:
            now = self._state.clock.now()
            self._state.promote(partition)
            rows = self._chosen(partition, discipline, claim, now)
            for place, row in enumerate(rows):
                self._lease(row, claim, secret_of(claim.secrets, place), now)
        return [Delivery(row.message(), row.receipt()) for row in sorted(rows, key=_order(discipline))]

    async def ack(self, partition_id: int, receipts: Sequence[Receipt]) -> list[Acked | Refusal]:
        """Delete what the receipts prove; one given twice counts twice."""
        outcomes = [self._looked_up(receipt) for receipt in receipts]
        for outcome in outcomes:
            if isinstance(outcome, Row) and outcome.id in self._state.rows:
                self._state.remove(outcome)
        return [_acked(outcome) if isinstance(outcome, Row) else outcome for outcome in outcomes]

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[Acked | Refusal]:
        """Delete by bare id."""
        rows = [self._state.row(message_id) for message_id in message_ids]
        for row in rows:
            if row is not None and row.id in self._state.rows:
                self._state.remove(row)
        return [Refusal.MISSING if row is None else _acked(row) for row in rows]

    async def extend(self, partition_id: int, extensions: Sequence[Extension]) -> list[datetime | Refusal]:
        """Lease until now + visibility."""
        return [self._extended(extension) for extension in extensions]

    async def held(self, partition_id: int, receipts: Sequence[Receipt]) -> Held:
        """Look leases up by receipt."""
        outcomes = [self._looked_up(receipt) for receipt in receipts]
        leases = [
            outcome
            if isinstance(outcome, Refusal)
            else Refusal.STALE
            if outcome.lease_until is None
            else outcome.lease(self._state.names.get(outcome.partition_id, ""))
            for outcome in outcomes
        ]
        return Held(self._state.clock.now(), leases)

    async def expired(self, limit: int, partition_id: int | None = None) -> Expired:
        """Read leases that ended."""
        now = self._state.clock.now()
        live = sorted(self._state.names) if partition_id is None else [partition_id]
        leased = (self._state.partitions[one].lines[State.LEASED] for one in live if one in self._state.names)
        rows = chain.from_iterable(line.firsts(limit, until=now) for line in leased)
        return Expired(now, [row.lease(self._state.names[row.partition_id]) for row in islice(rows, limit)])

    async def expire(self, limit: int) -> int:
        """Delete what has outlived its retention."""
        over = self._state.outlived.firsts(limit, until=self._state.clock.now())
        for row in over:
            self._state.remove(row)
        return len(over)

    async def retain(self, limit: int) -> bool:
        """Go through messages of the first queue whose retention was changed long enough ago."""
        begun_by = self._state.clock.now() - ms(RETENTION_CHANGE_MS)
        for (partition_id, before_ms), change in list(self._state.retention_changes.items()):
            queue = self._state.queue_of(partition_id)
            if queue is None or queue.settings.kept_ms == before_ms:
                del self._state.retention_changes[partition_id, before_ms]
            elif change.changed_at <= begun_by:
                if change.ids is None:
                    change.ids = sorted(self._state.partitions[partition_id].ids, reverse=True)
                for message_id in [change.ids.pop() for _ in range(min(limit, len(change.ids)))]:
                    self._retain(message_id, before_ms, queue.settings.kept_ms)
                if not change.ids:
                    del self._state.retention_changes[partition_id, before_ms]
                return True
        return False

    def _retain(self, message_id: int, before_ms: int, now_ms: int) -> None:
        row = self._state.row(message_id)
        if row is not None and row.expires_at == kept_until(row.enqueued_at, before_ms):
            self._state.keep_until(row, kept_until(row.enqueued_at, now_ms))

    async def tidy(self, limit: int) -> int:
        """Delete what was in dropped partitions, and dedup_ids, redrive tasks and deleted queues that are past."""
        done = 0
        for partition_id in self._state.dropped():
            done += self._cleared(partition_id, limit - done)
        for partition in self._state.partitions.values():
            done += partition.dedup.forget(limit - done, self._state.clock.now())
        done += self._state.forget_redrives(limit - done)
        return done + self._state.forget_deleted(limit - done)

    async def settle(self, partition_id: int, settlements: Sequence[Settlement]) -> list[bool]:
        """Apply what was decided where the lease is unchanged."""
        return [self._settled(settlement) for settlement in settlements]

    async def next_due(self) -> NextDue:
        """The earliest end of a lease."""
        firsts = [self._state.partitions[one].lines[State.LEASED].first() for one in self._state.names]
        ends = [row.lease_until for row in firsts if row and row.lease_until]
        return NextDue(self._state.clock.now(), min(ends, default=None))

    async def claimable(self, queues: Sequence[str]) -> list[str]:
        """Look at the first in line of each."""
        there = [queue for name in queues if (queue := self._state.queues.get(name)) is not None and not queue.paused]
        return [queue.name for queue in there if self._has_something(self._state.partitions[queue.partition_id])]

    # How it is done

    def _has_something(self, partition: Partition) -> bool:
        now = self._state.clock.now()
        self._state.promote(partition)
        ready = partition.lines[State.READY].firsts(1, lambda row: row.kept(now))
        return bool(ready or partition.lines[State.LEASED].firsts(1, until=now))

    def _accepted(self, queue: Queue, message: NewMessage, now: datetime) -> Accepted:
        state = self._state
        dedup = state.partitions[queue.partition_id].dedup
        key = dedup_key(queue, message)
        if key is not None:
            earlier = dedup.earlier(key, now)
            if earlier is not None:
                return Accepted(earlier, duplicate=True)
        row = Row(
            id=next(state.message_ids),
            partition_id=queue.partition_id,
            content=message,
            enqueued_at=now,
            not_before=now + ms(message.delay_ms) if message.delay_ms else now,
            expires_at=now + ms(message.retention_ms) if message.retention_ms else None,
            dlq=message.dlq,
        )
        if key is not None:
            dedup.remember(key, row.id, now + ms(queue.settings.dedup_ms or DEDUP_MS_DEFAULT))
        state.rows[row.id] = row
        state.enter(row, queue.settings.discipline, now)
        return Accepted(row.id)

    def _claimed_by(self, partition: Partition, attempt_id: str) -> list[Row]:
        since = self._state.clock.now() - ms(ATTEMPT_MS)
        rows = [self._state.rows[message_id] for message_id in partition.attempts.get(attempt_id, ())]
        return [row for row in rows if row.lease_until is not None and row.claimed_at and row.claimed_at > since]

    def _chosen(self, partition: Partition, discipline: Discipline, claim: Claim, now: datetime) -> list[Row]:
        ready, groups, limit = partition.lines[State.READY], partition.groups, claim.limit

        def kept(row: Row) -> bool:
            return row.kept(now)

        if discipline is Discipline.STANDARD:
            return ready.firsts(limit, kept)
        if discipline is Discipline.FIFO and claim.whole_groups:
            return groups.choose_whole(limit, kept)
        chosen = groups.choose(limit, kept)
        if discipline is Discipline.FAIR and len(chosen) < limit:
            # What came before the queue was fair is in no group.
            chosen += ready.firsts(limit - len(chosen), lambda row: not row.grouped and kept(row))
        return chosen

    def _lease(self, row: Row, claim: Claim, secret: bytes, now: datetime) -> None:
        row.secret = secret
        self._state.attempt(row, claim.attempt_id)
        row.delivery_count += 1
        row.claimed_at = now
        row.first_claimed_at = row.first_claimed_at or now
        row.lease_until = now + ms(claim.visibility_ms)
        self._state.place(row, now)

    def _cleared(self, partition_id: int, limit: int) -> int:
        state, partition = self._state, self._state.partitions[partition_id]
        rows = [state.rows[message_id] for message_id in islice(partition.ids, limit)]
        for row in rows:
            state.remove(row)
        tasks = [task.id for task in state.redrives.values() if task.partition_id == partition_id]
        for task_id in tasks[: limit - len(rows)]:
            del state.redrives[task_id]
        done = len(rows) + len(tasks[: limit - len(rows)])
        if done < limit:
            del state.partitions[partition_id]
        return done

    def _looked_up(self, receipt: Receipt) -> Row | Refusal:
        row = self._state.row(receipt.message_id)
        if row is None:
            return Refusal.MISSING
        return row if row.current(receipt) else Refusal.STALE

    def _extended(self, extension: Extension) -> datetime | Refusal:
        row = self._looked_up(extension.receipt)
        if isinstance(row, Refusal):
            return row
        now = self._state.clock.now()
        until = now + ms(extension.visibility_ms)
        if row.claimed_at is None or until > row.claimed_at + ms(VISIBILITY_MS_MAX):
            return Refusal.TOO_LONG
        row.lease_until = until
        self._state.place(row, now)
        return until

    def _settled(self, settlement: Settlement) -> bool:
        row = self._looked_up(settlement.lease.receipt)
        if isinstance(row, Refusal) or row.lease_until != settlement.lease.lease_until:
            return False
        if isinstance(settlement, Delete):
            self._state.remove(row)
            return True
        if isinstance(settlement, MoveToDlq) and self._state.queue_of(settlement.dlq.partition_id) is None:
            return False
        if settlement.error is not None:
            row.last_error = settlement.error
        if isinstance(settlement, RequeueAt):
            row.lease_until = None
            row.not_before = settlement.not_before
            self._state.place(row, self._state.clock.now())
        else:
            row.origin_queue = settlement.lease.queue
            row.origin_delivery_count = row.delivery_count
            kept_since = settlement.kept_since or row.enqueued_at
            expires_at = kept_until(kept_since, settlement.retention_ms)
            move(self._state, row, settlement.dlq, settlement.dlq_kept, settlement.not_before, expires_at)
        return True


def redriven(state: MemoryState, row: Row, onward: Move) -> None:
    """Let a dead letter start anew elsewhere."""
    now = state.clock.now()
    row.origin_queue = None
    row.origin_delivery_count = None
    row.first_claimed_at = None
    move(state, row, onward.target, onward.dlq, now, kept_until(now, onward.retention_ms))


def move(
    state: MemoryState, row: Row, target: Queue, dlq: str | None, not_before: datetime, expires_at: datetime | None
) -> None:
    """Bring the row into another queue, where it has no deliveries yet."""
    state.leave(row)
    row.partition_id = target.partition_id
    row.deliveries_before += row.delivery_count
    row.delivery_count = 0
    row.dlq = dlq
    row.not_before = not_before
    row.expires_at = expires_at
    row.lease_until = row.claimed_at = row.secret = None
    state.enter(row, target.settings.discipline, state.clock.now())


def _acked(row: Row) -> Acked:
    return Acked(row.claimed_at, row.partition_id)


def _in_line(row: Row) -> tuple[datetime, int]:
    return row.not_before, row.id


def _order(discipline: Discipline) -> Callable[[Row], Any]:
    return (lambda row: row.id) if discipline is Discipline.FIFO else _in_line
