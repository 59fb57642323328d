"""The use cases of those who look after queues."""

from datetime import datetime

from sqslite.domain import limits
from sqslite.domain.directory import QueueDirectory
from sqslite.domain.errors import InvalidValue, QueueNotFound
from sqslite.domain.ports import Change, QueueCatalog, Wakeups
from sqslite.domain.queues import Defaults, Queue, QueueSettings, check_settings
from sqslite.domain.tally import Tally


class QueueAdministration:
    """Creates queues, changes, empties, stops and deletes them, and lists them."""

    def __init__(
        self, catalog: QueueCatalog, directory: QueueDirectory, wakeups: Wakeups, tally: Tally, defaults: Defaults
    ) -> None:
        self._catalog = catalog
        self._directory = directory
        self._wakeups = wakeups
        self._tally = tally
        self._defaults = defaults

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """The queue with exactly these settings, and whether it was created now.

        Other nodes go by the new settings within a second. Raises InvalidValue, and QueueConflict where `fifo` would
        change.
        """
        await self._check(name, settings)
        return await self._directory.put(name, settings)

    async def change(self, name: str, change: Change) -> Queue:
        """The queue with what `change` makes of its settings; changes of others at that moment are kept.

        `change` may be asked several times. Other nodes go by the new settings within a second. Raises QueueNotFound,
        what `change` raises, InvalidValue, and QueueConflict where `fifo` would change.
        """

        def checked(settings: QueueSettings) -> QueueSettings:
            return check_settings(name, change(settings), self._defaults)

        await self._check(name, checked((await self.get(name)).settings))
        return self._met(name, await self._catalog.change(name, checked))

    async def create(self, name: str, settings: QueueSettings) -> Queue:
        """The queue of that name: new, with these settings, or as it was there. Raises InvalidValue."""
        await self._check(name, settings)
        return self._met(name, await self._catalog.ensure(name, settings))

    async def get(self, name: str) -> Queue:
        """The queue of that name. Raises QueueNotFound."""
        limits.check_queue_name("queue", name)
        return self._found(name, await self._catalog.find(name))

    async def sources(self, name: str, after: str = "", limit: int | None = None) -> list[Queue]:
        """Queues that have this one as their dlq and sort behind `after`, at most `limit` (None: PAGE_DEFAULT)."""
        limits.check_queue_name("queue", name)
        if after:
            limits.check_queue_name("after", after)
        limit = limits.check_range("limit", limits.PAGE_DEFAULT if limit is None else limit, 1, limits.PAGE_MAX)
        return await self._catalog.sources(name, after, limit)

    async def deleted_at(self, name: str) -> datetime | None:
        """When a queue of that name was deleted last; None where none was within DELETED_KNOWN_MS."""
        limits.check_queue_name("queue", name)
        return await self._catalog.deleted_at(name)

    async def delete(self, name: str) -> None:
        """Delete the queue with all its messages; their rows go in the background. Raises QueueNotFound."""
        limits.check_queue_name("queue", name)
        dropped = await self._catalog.drop(name)
        self._directory.forget(name)
        if not dropped:
            raise QueueNotFound(name)

    async def purge(self, name: str) -> None:
        """Delete all messages that are in the queue now, leased ones too: one cut, and the rows go in the background.

        What is enqueued after it stays. Raises QueueNotFound.
        """
        limits.check_queue_name("queue", name)
        # Totals outlive a purge, and the store can only take along what it has.
        await self._tally.flush()
        self._met(name, await self._catalog.renew(name))

    async def pause(self, name: str) -> Queue:
        """Give nothing out any more, on any node, until it is resumed; all else goes on. Raises QueueNotFound."""
        limits.check_queue_name("queue", name)
        return self._met(name, await self._catalog.pause(name, True))

    async def resume(self, name: str) -> Queue:
        """Give messages out again. Raises QueueNotFound."""
        limits.check_queue_name("queue", name)
        queue = self._met(name, await self._catalog.pause(name, False))
        self._wakeups.notify(name, limits.CLAIM_MAX)
        return queue

    async def page(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[Queue]:
        """Queues whose names start with `prefix` and sort behind `after`, at most `limit` (None: PAGE_DEFAULT)."""
        for field, text in (("prefix", prefix), ("after", after)):
            if text:
                limits.check_queue_name(field, text)
        limit = limits.check_range("limit", limits.PAGE_DEFAULT if limit is None else limit, 1, limits.PAGE_MAX)
        return await self._catalog.page(after, limit, prefix)

    async def _check(self, name: str, settings: QueueSettings) -> None:
        limits.check_queue_name("queue", name)
        check_settings(name, settings, self._defaults)
        if settings.dlq is None:
            return
        queue = await self._catalog.find(name)
        if queue is not None and queue.settings.dlq == settings.dlq:
            # Who may use a dead-letter queue is asked when it is named, as SQS does: those that use it go on.
            return
        dlq = await self._catalog.find(settings.dlq)
        if dlq is not None and not dlq.settings.allows_redrive_from(name):
            raise InvalidValue("dlq", settings.dlq, f"a queue whose redrive_allow allows {name}")

    def _met(self, name: str, queue: Queue | None) -> Queue:
        self._directory.forget(name)
        return self._found(name, queue)

    def _found(self, name: str, queue: Queue | None) -> Queue:
        if queue is None:
            raise QueueNotFound(name)
        return queue
