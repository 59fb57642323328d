"""Queues in memory."""

from msgspec.structs import replace

from sqslite.adapters.stores.memory.state import MemoryState
from sqslite.domain.errors import QueueConflict
from sqslite.domain.ports import Totals
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
            queue = Queue(name=name, partition_id=self._state.new_partition(name), settings=settings)
        return self._keep(queue)

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """Create a queue or change its settings."""
        queue = self._state.queues.get(name)
        if queue is None:
            return await self.ensure(name, settings), True
        if queue.settings.fifo != settings.fifo:
            raise QueueConflict(name, queue.settings.fifo)
        return self._keep(replace(queue, settings=settings)), False

    async def renew(self, name: str) -> Queue | None:
        """Give the queue a new partition."""
        queue = self._state.queues.get(name)
        if queue is None:
            return None
        del self._state.names[queue.partition_id]
        renewed = replace(queue, partition_id=self._state.new_partition(name))
        self._state.totals[renewed.partition_id] = self._state.totals.pop(queue.partition_id, Totals())
        return self._keep(renewed)

    async def drop(self, name: str) -> bool:
        """Delete the queue."""
        queue = self._state.queues.pop(name, None)
        if queue is None:
            return False
        del self._state.names[queue.partition_id]
        self._state.totals.pop(queue.partition_id, None)
        return True

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
