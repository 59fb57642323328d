"""The use cases of those who look after queues."""

from sqslite.domain import limits
from sqslite.domain.directory import QueueDirectory
from sqslite.domain.errors import QueueNotFound
from sqslite.domain.ports import QueueCatalog
from sqslite.domain.queues import Defaults, Queue, QueueSettings, check_settings


class QueueAdministration:
    """Creates queues, changes their settings, and lists them."""

    def __init__(self, catalog: QueueCatalog, directory: QueueDirectory, defaults: Defaults) -> None:
        self._catalog = catalog
        self._directory = directory
        self._defaults = defaults

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """The queue with exactly these settings, and whether it was created now.

        Other nodes go by the new settings within a second. Raises InvalidValue.
        """
        limits.check_queue_name("queue", name)
        check_settings(name, settings, self._defaults.body_bytes_max)
        return await self._directory.put(name, settings)

    async def get(self, name: str) -> Queue:
        """The queue of that name. Raises QueueNotFound."""
        limits.check_queue_name("queue", name)
        queue = await self._catalog.find(name)
        if queue is None:
            raise QueueNotFound(name)
        return queue

    async def page(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[Queue]:
        """Queues whose names start with `prefix` and sort behind `after`, at most `limit` (None: PAGE_DEFAULT)."""
        for field, text in (("prefix", prefix), ("after", after)):
            if text:
                limits.check_queue_name(field, text)
        limit = limits.check_range("limit", limits.PAGE_DEFAULT if limit is None else limit, 1, limits.PAGE_MAX)
        return await self._catalog.page(after, limit, prefix)
