"""Counts, peeks and sightings in memory."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqslite.adapters.stores.memory.lines import due
from sqslite.adapters.stores.memory.rows import Row
from sqslite.adapters.stores.memory.state import MemoryState
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Message
from sqslite.domain.ports import Blocker, Depth, Position, Sighting, Totals
from sqslite.domain.queues import Discipline, Queue


class MemoryStats:
    """The QueueStats port; its counts are exact at any depth."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        """Count by state."""
        return [self._depth(queue) for queue in queues]

    async def totals(self, partition_ids: Sequence[int]) -> list[Totals]:
        """Look totals up."""
        return [self._state.totals.get(partition_id, Totals()) for partition_id in partition_ids]

    async def add(self, totals: Mapping[int, Totals]) -> None:
        """Add to totals."""
        for partition_id, more in totals.items():
            if partition_id in self._state.names:
                self._state.totals[partition_id] += more

    async def peek(self, partition_id: int, state: State, after: Position | None, limit: int) -> list[Message]:
        """Show messages in the order of their line."""
        if partition_id not in self._state.names:
            return []
        partition = self._state.partitions[partition_id]
        self._state.promote(partition)
        rows = partition.lines[state].firsts(limit, lambda row: after is None or due(row) > (after.at, after.id))
        return [row.message() for row in rows]

    async def sight(self, message_id: int) -> Sighting | None:
        """Look a message up."""
        row = self._state.row(message_id)
        queue = self._state.queue_of(row.partition_id) if row else None
        if row is None or queue is None:
            return None
        return Sighting(
            now=self._state.clock.now(), queue=queue, message=row.message(), blocked_by=self._blocker(queue, row)
        )

    def _blocker(self, queue: Queue, row: Row) -> Blocker | None:
        if queue.settings.discipline is not Discipline.FIFO or row.lease_until is not None:
            return None
        partition, now = self._state.partitions[row.partition_id], self._state.clock.now()
        self._state.promote(partition)
        group = partition.groups.of(row)
        first = group.line.firsts(1, lambda one: one.kept(now))
        behind = (one.id for one in first if one.id < row.id)
        blocker_id = min(group.in_work - {row.id}, default=next(behind, None))
        return None if blocker_id is None else self._state.rows[blocker_id].blocker()

    def _depth(self, queue: Queue) -> Depth:
        partition = self._state.partitions.get(queue.partition_id)
        if partition is None or queue.partition_id not in self._state.names:
            return Depth(queue=queue.name, ready=0, delayed=0, in_flight=0, oldest_ready_age_ms=None)
        self._state.promote(partition)
        first = partition.lines[State.READY].first()
        age = None if first is None else (self._state.clock.now() - first.not_before) // timedelta(milliseconds=1)
        return Depth(
            queue=queue.name,
            ready=partition.counts[State.READY],
            delayed=partition.counts[State.DELAYED],
            in_flight=partition.counts[State.LEASED],
            oldest_ready_age_ms=age,
        )
