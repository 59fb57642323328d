"""Queues in memory."""

from datetime import datetime

from msgspec.structs import replace

from sqslite.adapters.stores.memory.state import MemoryState
from sqslite.domain.errors import QueueConflict
from sqslite.domain.limits import DELETED_KNOWN_MS, ms
from sqslite.domain.ports import Change, Totals
from sqslite.domain.queues import Queue, QueueSettings


class MemoryCatalog:
    """The QueueCatalog port."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def find(self, name: str) -> Queue | None:
        """Look a queue up."""
        return self._state.queues.get(name)

    async def ensure(self, name: str, settings: QueueSettings) -> Queue:
        """Look a queue up or create it."""
        queue = self._state.queues.get(name)
        if queue is None:
            now, partition_id = self._state.clock.now(), self._state.new_partition(name)
            queue = Queue(name=name, partition_id=partition_id, settings=settings, created_at=now, changed_at=now)
        return self._keep(queue)

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """Create a queue or change its settings."""
        queue = self._state.queues.get(name)
        if queue is None:
            return await self.ensure(name, settings), True
        if queue.settings.fifo != settings.fifo:
            raise QueueConflict(name, queue.settings.fifo)
        if queue.settings != settings:
            self._state.note_retention(queue, settings)
            queue = replace(queue, settings=settings, changed_at=self._state.clock.now())
        return self._keep(queue), False

    async def change(self, name: str, change: Change) -> Queue | None:
        """Change the settings that a queue has."""
        queue = self._state.queues.get(name)
        return None if queue is None else (await self.put(name, change(queue.settings)))[0]

    async def renew(self, name: str) -> Queue | None:
        """Give the queue a new partition."""
        queue = self._state.queues.get(name)
        if queue is None:
            return None
        del self._state.names[queue.partition_id]
        renewed = replace(queue, partition_id=self._state.new_partition(name), purged_at=self._state.clock.now())
        self._state.totals[renewed.partition_id] = self._state.totals.pop(queue.partition_id, Totals())
        return self._keep(renewed)

    async def drop(self, name: str) -> bool:
        """Delete the queue."""
        queue = self._state.queues.pop(name, None)
        if queue is None:
            return False
        del self._state.names[queue.partition_id]
        self._state.totals.pop(queue.partition_id, None)
        self._state.deleted_at.pop(name, None)
        self._state.deleted_at[name] = self._state.clock.now()
        return True

    async def deleted_at(self, name: str) -> datetime | None:
        """Look up when a queue was deleted."""
        at = self._state.deleted_at.get(name)
        return None if at is None or at + ms(DELETED_KNOWN_MS) <= self._state.clock.now() else at

    async def sources(self, dlq: str, after: str, limit: int) -> list[Queue]:
        """Queues by name whose dead letters go there."""
        names = sorted(name for name, queue in self._state.queues.items() if queue.settings.dlq == dlq and name > after)
        return [self._state.queues[name] for name in names[:limit]]

    async def pause(self, name: str, paused: bool) -> Queue | None:
        """Pause the queue or let it go on."""
        queue = self._state.queues.get(name)
        return None if queue is None else self._keep(replace(queue, paused=paused))

    async def page(self, after: str, limit: int, prefix: str = "") -> list[Queue]:
        """Queues by name."""
        names = [name for name in sorted(self._state.queues) if name > after and name.startswith(prefix)]
        return [self._state.queues[name] for name in names[:limit]]

    def _keep(self, queue: Queue) -> Queue:
        self._state.queues[queue.name] = queue
        return queue
