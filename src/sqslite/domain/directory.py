"""What one node remembers of the catalog."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime

from sqslite.domain.limits import ms
from sqslite.domain.ports import Clock, QueueCatalog
from sqslite.domain.queues import Queue, QueueSettings

REMEMBERED_QUEUES_MAX = 10_000
REMEMBERED_MS = 1_000
# SQS API reference, CreateQueue: a FIFO queue's name ends so. Here any name may be one's, and this one need not.
FIFO_SUFFIX = ".fifo"
_DEFAULT = QueueSettings()


class QueueDirectory:
    """The queues this node has met lately, so that the hot path asks the catalog about once a second per queue."""

    def __init__(self, catalog: QueueCatalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._met: OrderedDict[str, tuple[Queue, datetime]] = OrderedDict()
        self._by_partition: dict[int, Queue] = {}

    async def find(self, name: str) -> Queue | None:
        """The queue of that name, None where there is none."""
        return self._remembered(name) or self._remember(await self._catalog.find(name))

    async def ensure(self, name: str, settings: QueueSettings = _DEFAULT) -> Queue:
        """The queue of that name, created with these settings where there is none."""
        queue = await self.find(name)
        if queue is None:
            queue = await self._catalog.ensure(name, settings)
            self._remember(queue)
        return queue

    async def ensure_all(self, names: Iterable[tuple[str, Queue | None]]) -> dict[str, Queue]:
        """The queues of those names, to which messages of another queue go, each told with its name.

        One that is not there is created: as a FIFO queue where the other is one and its name ends in FIFO_SUFFIX (SQS:
        a dead-letter queue has its source's type), else with default settings.
        """
        return {name: await self.ensure(name, _settings_like(source, name)) for name, source in dict(names).items()}

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """The queue with these settings, and whether it was created now; other nodes learn of it in REMEMBERED_MS."""
        queue, created = await self._catalog.put(name, settings)
        self._remember(queue)
        return queue, created

    def at(self, partition_id: int) -> Queue | None:
        """The queue that had this partition when this node last met it; None where it has met none lately."""
        return self._by_partition.get(partition_id)

    def forget(self, name: str) -> None:
        """Ask the catalog anew when the queue is next spoken of."""
        entry = self._met.pop(name, None)
        if entry is not None:
            self._by_partition.pop(entry[0].partition_id, None)

    def _remembered(self, name: str) -> Queue | None:
        entry = self._met.get(name)
        if entry is None or entry[1] <= self._clock.now():
            return None
        return entry[0]

    def _remember(self, queue: Queue | None) -> Queue | None:
        if queue is not None:
            self.forget(queue.name)
            self._met[queue.name] = (queue, self._clock.now() + ms(REMEMBERED_MS))
            self._by_partition[queue.partition_id] = queue
            if len(self._met) > REMEMBERED_QUEUES_MAX:
                self.forget(next(iter(self._met)))
        return queue


def _settings_like(source: Queue | None, name: str) -> QueueSettings:
    fifo = source is not None and source.settings.fifo and name.endswith(FIFO_SUFFIX)
    return QueueSettings(fifo=True) if fifo else _DEFAULT
