"""What the ports of the memory store share: queues, messages, and the lines that messages stand in."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count

from sqslite.adapters.stores.memory.rows import Row
from sqslite.domain.lifecycle import State, state_of
from sqslite.domain.ports import Clock, PartitionDropped, Totals
from sqslite.domain.queues import Discipline, Queue
from sqslite.domain.redrive import Redrive

Key = tuple[datetime, int]


class Line:
    """Rows in the order of a key; an entry that its row has outlived is dropped when it comes up."""

    def __init__(self, key: Callable[[Row], Key], stands: Callable[[Row], bool], rows: dict[int, Row]) -> None:
        self._key = key
        self._stands = stands
        self._rows = rows
        self._heap: list[Key] = []

    def add(self, row: Row) -> None:
        """Stand the row in line."""
        heapq.heappush(self._heap, self._key(row))

    def first(self) -> Row | None:
        """The first in line, None where nobody stands there."""
        while self._heap:
            row = self._rows.get(self._heap[0][1])
            if row is not None and self._stands(row) and self._key(row) == self._heap[0]:
                return row
            heapq.heappop(self._heap)
        return None

    def in_order(self) -> Iterator[Row]:
        """All in line; nothing may change while they are gone through, and what was gone through stays."""
        taken: list[Key] = []
        try:
            while (row := self.first()) is not None:
                entry = heapq.heappop(self._heap)
                # The same row may have come to stand at the same place twice.
                if entry not in taken[-1:]:
                    taken.append(entry)
                    yield row
        finally:
            for entry in taken:
                heapq.heappush(self._heap, entry)


class Group:
    """A group that has messages: its place among the groups, its line, and those delivered before and not gone yet."""

    def __init__(self, turn: int, line: Line) -> None:
        self.turn = turn
        self.line = line
        self.ids: set[int] = set()
        self.delivered: set[int] = set()


class Partition:
    """One queue's messages."""

    def __init__(self, partition_id: int, rows: dict[int, Row]) -> None:
        def standing(state: State) -> Callable[[Row], bool]:
            return lambda row: row.partition_id == partition_id and row.stands_in is state

        self.lines = {state: Line(due, standing(state), rows) for state in (State.READY, State.DELAYED, State.LEASED)}
        self.counts: Counter[State] = Counter()
        self.groups: dict[str, Group] = {}


class MemoryState:
    """Everything there is; a call of any port runs without a pause, so it is atomic."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.queues: dict[str, Queue] = {}
        self.names: dict[int, str] = {}
        self.partitions: dict[int, Partition] = {}
        self.rows: dict[int, Row] = {}
        self.dedup: dict[tuple[int, str], tuple[int, datetime]] = {}
        self.totals: defaultdict[int, Totals] = defaultdict(Totals)
        self.redrives: dict[int, Redrive] = {}
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

    def new_partition(self, name: str) -> int:
        """A partition for the queue of that name."""
        partition_id = next(self._partition_ids)
        self.names[partition_id] = name
        self.partitions[partition_id] = Partition(partition_id, self.rows)
        return partition_id

    def next_turn(self) -> int:
        """The place behind all groups."""
        return next(self._turns)

    def place(self, row: Row) -> None:
        """Let the row stand where it belongs now; a new one for the first time."""
        partition = self.partitions[row.partition_id]
        self._uncount(row)
        row.stands_in = state_of(row.not_before, row.lease_until, self.clock.now())
        partition.counts[row.stands_in] += 1
        partition.lines[row.stands_in].add(row)
        group = partition.groups.get(row.group) if row.grouped else None
        if group is not None:
            group.line.add(row)
            if row.delivery_count:
                group.delivered.add(row.id)

    def join_group(self, row: Row, discipline: Discipline) -> None:
        """Make the row one of its group, where its queue serves by groups."""
        row.grouped = discipline is not Discipline.STANDARD
        if not row.grouped:
            return
        partition_id, name, groups = row.partition_id, row.group, self.partitions[row.partition_id].groups
        if name not in groups:

            def standing(one: Row) -> bool:
                return one.partition_id == partition_id and one.group == name and one.lease_until is None

            key = by_acceptance if discipline is Discipline.FIFO else due
            groups[name] = Group(self.next_turn(), Line(key, standing, self.rows))
        groups[name].ids.add(row.id)

    def remove(self, row: Row) -> None:
        """The row is gone for good."""
        self.leave(row)
        del self.rows[row.id]

    def leave(self, row: Row) -> None:
        """The row is no longer in its partition."""
        self._uncount(row)
        row.stands_in = State.NONE
        partition = self.partitions.get(row.partition_id)
        group = partition.groups.get(row.group) if partition and row.grouped else None
        if partition and group:
            group.ids.discard(row.id)
            group.delivered.discard(row.id)
            if not group.ids:
                del partition.groups[row.group]
        row.grouped = False

    def promote(self, partition: Partition) -> None:
        """Make ready what was delayed until now."""
        now = self.clock.now()
        line = partition.lines[State.DELAYED]
        while (row := line.first()) is not None and row.not_before <= now:
            self._uncount(row)
            row.stands_in = State.READY
            partition.counts[State.READY] += 1
            partition.lines[State.READY].add(row)

    def _uncount(self, row: Row) -> None:
        partition = self.partitions.get(row.partition_id)
        if partition is not None and row.stands_in is not State.NONE:
            partition.counts[row.stands_in] -= 1


def due(row: Row) -> Key:
    """The place among those in the same state."""
    return (row.not_before if row.lease_until is None else row.lease_until, row.id)


def by_acceptance(row: Row) -> Key:
    """The place in a group of a FIFO queue."""
    return datetime.min, row.id
