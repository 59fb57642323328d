"""What the ports of the memory store share: queues, messages, and where each of them stands."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count, islice, takewhile

from sqslite.adapters.stores.memory.dedup import Dedup
from sqslite.adapters.stores.memory.groups import Groups
from sqslite.adapters.stores.memory.lines import Line, by_retention, due
from sqslite.adapters.stores.memory.rows import Row
from sqslite.domain.lifecycle import State, state_of
from sqslite.domain.limits import DELETED_KNOWN_MS, REDRIVE_KEPT_MS, ms
from sqslite.domain.ports import Clock, PartitionDropped, Totals
from sqslite.domain.queues import Discipline, Queue, QueueSettings
from sqslite.domain.redrive import Redrive


class Partition:
    """One queue's messages: all of them, and in lines, groups and attempts; and the dedup_ids it knows."""

    def __init__(self, partition_id: int, rows: dict[int, Row], next_turn: Callable[[], int]) -> None:
        def standing(state: State) -> Callable[[Row], bool]:
            return lambda row: row.partition_id == partition_id and row.stands_in is state

        self.ids: set[int] = set()
        self.lines = {state: Line(due, standing(state), rows) for state in (State.READY, State.DELAYED, State.LEASED)}
        self.counts: Counter[State] = Counter()
        self.groups = Groups(partition_id, rows, next_turn)
        # What keeps its group waiting for a retry, by the end of its retention.
        self.retries = Line(by_retention, self._waits_for_retry, rows)
        self.attempts: defaultdict[str, set[int]] = defaultdict(set)
        self.dedup = Dedup()

    def _waits_for_retry(self, row: Row) -> bool:
        return row.id in self.ids and row.stands_in is State.DELAYED and row.id in self.groups.of(row).in_work


@dataclass
class RetentionChange:
    """When a queue's retention was changed, and which messages are yet to be gone through; None: not begun."""

    changed_at: datetime
    ids: list[int] | None = None


class MemoryState:
    """Everything there is; a call of any port runs without a pause, so it is atomic."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.queues: dict[str, Queue] = {}
        self.names: dict[int, str] = {}
        # The longest ago first.
        self.deleted_at: dict[str, datetime] = {}
        self.partitions: dict[int, Partition] = {}
        self.rows: dict[int, Row] = {}
        self.outlived = Line(
            by_retention, lambda row: row.expires_at is not None and row.lease_until is None, self.rows
        )
        self.totals: defaultdict[int, Totals] = defaultdict(Totals)
        self.redrives: dict[int, Redrive] = {}
        self.retention_changes: dict[tuple[int, int], RetentionChange] = {}
        self.held_until: dict[int, datetime] = {}
        self.message_ids = count(1)
        self.redrive_ids = count(1)
        self._partition_ids = count(1)
        self._turns = count(1)

    def queue_of(self, partition_id: int) -> Queue | None:
        """The queue whose partition that is, None where it was dropped."""
        name = self.names.get(partition_id)
        return None if name is None else self.queues[name]

    def live(self, queue: Queue) -> Queue:
        """The queue as it is now. Raises PartitionDropped."""
        current = self.queue_of(queue.partition_id)
        if current is None:
            raise PartitionDropped(queue.name)
        return current

    def row(self, message_id: int) -> Row | None:
        """The message, None where it is gone; what is in a dropped partition is."""
        row = self.rows.get(message_id)
        return None if row is None or row.partition_id not in self.names else row

    def new_partition(self, name: str) -> int:
        """A partition for the queue of that name."""
        partition_id = next(self._partition_ids)
        self.names[partition_id] = name
        self.partitions[partition_id] = Partition(partition_id, self.rows, self._turns.__next__)
        return partition_id

    def dropped(self) -> list[int]:
        """The partitions that are no queue's any more and not gone yet."""
        return sorted(self.partitions.keys() - self.names.keys())

    def forget_deleted(self, limit: int) -> int:
        """Forget up to so many queues that were deleted long ago; how many it were."""
        since = self.clock.now() - ms(DELETED_KNOWN_MS)
        past = list(islice(takewhile(lambda name: self.deleted_at[name] <= since, self.deleted_at), limit))
        for name in past:
            del self.deleted_at[name]
        return len(past)

    def enter(self, row: Row, discipline: Discipline, now: datetime) -> None:
        """The row is new in its partition, and one of its group where its queue serves by groups."""
        partition = self.partitions[row.partition_id]
        partition.ids.add(row.id)
        row.grouped = discipline.grouped
        if row.grouped:
            partition.groups.join(row, discipline)
        self.place(row, now)

    def place(self, row: Row, now: datetime) -> None:
        """Let the row stand where it belongs now."""
        self._stand(row, state_of(row.not_before, row.lease_until, now))
        if row.lease_until is None and row.expires_at is not None:
            self.outlived.add(row)

    def promote(self, partition: Partition) -> None:
        """Make ready what was delayed until now, and let no group wait for a retry that its retention has overtaken."""
        now = self.clock.now()
        line = partition.lines[State.DELAYED]
        while (row := line.first()) is not None and row.not_before <= now:
            self._stand(row, State.READY)
        while (row := partition.retries.first()) is not None and not row.kept(now):
            partition.groups.release(row)

    def attempt(self, row: Row, attempt_id: str | None) -> None:
        """The row is leased by that attempt, and by none before."""
        if row.attempt_id is None and attempt_id is None:
            return
        attempts = self.partitions[row.partition_id].attempts
        if row.attempt_id is not None:
            attempts[row.attempt_id].discard(row.id)
            if not attempts[row.attempt_id]:
                del attempts[row.attempt_id]
        row.attempt_id = attempt_id
        if attempt_id is not None:
            attempts[attempt_id].add(row.id)

    def note_retention(self, queue: Queue, settings: QueueSettings) -> None:
        """The queue's messages, which it keeps as it says so far, are to be kept as these settings say."""
        before_ms = queue.settings.kept_ms
        if before_ms != settings.kept_ms:
            self.retention_changes[queue.partition_id, before_ms] = RetentionChange(self.clock.now())

    def keep_until(self, row: Row, expires_at: datetime | None) -> None:
        """The row's retention ends then; None: never."""
        row.expires_at = expires_at
        if expires_at is not None and row.lease_until is None:
            self.outlived.add(row)
        if expires_at is not None and row.grouped and row.stands_in is State.DELAYED:
            self.partitions[row.partition_id].retries.add(row)

    def leave(self, row: Row) -> None:
        """The row is no longer in its partition."""
        partition = self.partitions[row.partition_id]
        partition.counts[row.stands_in] -= 1
        row.stands_in = State.NONE
        partition.ids.discard(row.id)
        self.attempt(row, None)
        if row.grouped:
            partition.groups.leave(row)

    def remove(self, row: Row) -> None:
        """The row is gone for good."""
        self.leave(row)
        del self.rows[row.id]

    def forget_redrives(self, limit: int) -> int:
        """Forget up to so many tasks that ended long ago; how many it were."""
        since = self.clock.now() - ms(REDRIVE_KEPT_MS)
        past = (task.id for task in self.redrives.values() if task.ended_at is not None and task.ended_at <= since)
        forgotten = list(islice(past, limit))
        for task_id in forgotten:
            del self.redrives[task_id]
            self.held_until.pop(task_id, None)
        return len(forgotten)

    def _stand(self, row: Row, state: State) -> None:
        partition = self.partitions[row.partition_id]
        if row.stands_in is not State.NONE:
            partition.counts[row.stands_in] -= 1
        row.stands_in = state
        partition.counts[state] += 1
        partition.lines[state].add(row)
        if row.grouped:
            partition.groups.place(row)
            if state is State.DELAYED and row.expires_at is not None:
                partition.retries.add(row)
