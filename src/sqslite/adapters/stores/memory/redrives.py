"""Redrive tasks in memory."""

from collections.abc import Sequence

from msgspec.structs import replace

from sqslite.adapters.stores.memory.lines import due
from sqslite.adapters.stores.memory.rows import Row
from sqslite.adapters.stores.memory.state import MemoryState
from sqslite.adapters.stores.memory.store import redriven
from sqslite.domain.errors import RedriveConflict
from sqslite.domain.lifecycle import State, state_of
from sqslite.domain.limits import ms
from sqslite.domain.messages import Message
from sqslite.domain.ports import Move, Position
from sqslite.domain.redrive import Redrive, RedriveState


class MemoryRedrives:
    """The Redrives port."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def create(self, redrive: Redrive) -> Redrive:
        """Keep a new task."""
        for other in self._state.redrives.values():
            if other.partition_id == redrive.partition_id and other.state is RedriveState.RUNNING:
                raise RedriveConflict(f"redrive {other.id} of queue {redrive.queue} is running already")
        task = replace(redrive, id=next(self._state.redrive_ids), created_at=self._state.clock.now())
        return self._keep(task)

    async def page(self, partition_id: int, limit: int) -> list[Redrive]:
        """The latest tasks."""
        tasks = [task for task in self._state.redrives.values() if task.partition_id == partition_id]
        return sorted(tasks, key=lambda task: -task.id)[:limit]

    async def cancel(self, partition_id: int, redrive_id: int) -> Redrive | None:
        """End a task where it runs."""
        task = self._state.redrives.get(redrive_id)
        if task is None or task.partition_id != partition_id:
            return None
        await self.finish(task, RedriveState.CANCELLED)
        return self._state.redrives[redrive_id]

    async def take(self, hold_ms: int) -> Redrive | None:
        """Take on the oldest task that no node holds."""
        now = self._state.clock.now()
        for task in self._state.redrives.values():
            held_until = self._state.held_until.get(task.id)
            if task.state is RedriveState.RUNNING and (held_until is None or held_until <= now):
                self._state.held_until[task.id] = now + ms(hold_ms)
                return self._keep(replace(task, taken=task.taken + 1))
        return None

    async def candidates(self, redrive: Redrive, limit: int) -> list[Message]:
        """What is ready behind the task's position."""
        partition = self._state.partitions.get(redrive.partition_id)
        if partition is None or redrive.partition_id not in self._state.names:
            return []
        self._state.promote(partition)
        now = self._state.clock.now()

        def ahead(row: Row) -> bool:
            behind = redrive.position_at is not None and due(row) <= (redrive.position_at, redrive.position_id)
            return row.kept(now) and not behind

        rows = partition.lines[State.READY].firsts(limit, ahead, until=redrive.created_at)
        return [row.message() for row in rows]

    async def advance(self, redrive: Redrive, moves: Sequence[Move], position: Position, hold_ms: int) -> int | None:
        """Move what is still ready, and keep count."""
        task = self._state.redrives.get(redrive.id)
        if task is None or task.state is not RedriveState.RUNNING or task.taken != redrive.taken:
            return None
        moved = sum(self._moved(redrive.partition_id, onward) for onward in moves)
        self._keep(replace(task, moved=task.moved + moved, position_at=position.at, position_id=position.id))
        self._state.held_until[task.id] = self._state.clock.now() + ms(hold_ms)
        return moved

    async def finish(self, redrive: Redrive, state: RedriveState) -> None:
        """End a task that runs."""
        task = self._state.redrives.get(redrive.id)
        if task is not None and task.state is RedriveState.RUNNING:
            self._keep(replace(task, state=state, ended_at=self._state.clock.now()))

    def _moved(self, partition_id: int, onward: Move) -> bool:
        row = self._state.rows.get(onward.message_id)
        live = all(self._state.queue_of(one) is not None for one in (partition_id, onward.target.partition_id))
        if row is None or not live or row.partition_id != partition_id or not self._ready(row):
            return False
        redriven(self._state, row, onward)
        return True

    def _ready(self, row: Row) -> bool:
        now = self._state.clock.now()
        return state_of(row.not_before, row.lease_until, now) is State.READY and row.kept(now)

    def _keep(self, task: Redrive) -> Redrive:
        self._state.redrives[task.id] = task
        return task
