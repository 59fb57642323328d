"""Queues in PostgreSQL."""

from datetime import datetime

import msgspec

from sqslite.adapters.stores.postgres.database import Database, Statements
from sqslite.adapters.stores.postgres.rows import queue_from
from sqslite.domain.errors import QueueConflict, StoreUnavailable
from sqslite.domain.limits import DELETED_KNOWN_MS, RETENTION_MS_DEFAULT
from sqslite.domain.ports import Change
from sqslite.domain.queues import Queue, QueueSettings

RACES_MAX = 5
_encoded = msgspec.json.Encoder().encode


class PostgresQueueCatalog:
    """The catalog port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, name: str) -> Queue | None:
        """Look a queue up."""
        rows = await self._database.read("queue_find", name)
        return queue_from(rows[0]) if rows else None

    async def ensure(self, name: str, settings: QueueSettings) -> Queue:
        """Look a queue up or create it."""
        # Looked up first, because an insert that finds the queue there still uses a partition number up.
        for _ in range(RACES_MAX):
            queue = await self.find(name)
            if queue is not None:
                return queue
            created = await self._database.write("queue_ensure", name, _encoded(settings).decode())
            if created:
                return queue_from(created[0])
        raise StoreUnavailable(f"the queue {name} comes and goes")

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """Create a queue or change its settings."""
        stored = _encoded(settings).decode()
        for _ in range(RACES_MAX):
            changed = await self._database.write("queue_put", name, stored, settings.fifo, RETENTION_MS_DEFAULT)
            if changed:
                return queue_from(changed[0]), False
            existing = await self.find(name)
            if existing is not None:
                if existing.settings.fifo != settings.fifo:
                    raise QueueConflict(name, existing.settings.fifo)
                if existing.settings == settings:
                    return existing, False
                continue
            created = await self._database.write("queue_ensure", name, stored)
            if created:
                return queue_from(created[0]), True
        raise StoreUnavailable(f"the queue {name} comes and goes")

    async def change(self, name: str, change: Change) -> Queue | None:
        """Change the settings that a queue has."""

        async def changed(statements: Statements) -> Queue | None:
            rows = await statements.write("queue_find_to_change", name)
            if not rows:
                return None
            there = queue_from(rows[0])
            settings = change(there.settings)
            if there.settings.fifo != settings.fifo:
                raise QueueConflict(name, there.settings.fifo)
            stored = _encoded(settings).decode()
            put = await statements.write("queue_put", name, stored, settings.fifo, RETENTION_MS_DEFAULT)
            # Not where the settings are those that it has.
            return queue_from(put[0]) if put else there

        return await self._database.transact(changed)

    async def renew(self, name: str) -> Queue | None:
        """Give the queue a new partition."""

        async def renewed(statements: Statements) -> Queue | None:
            locked = await statements.write("queue_lock", name)
            if not locked:
                return None
            # A statement of its own: it sees all that was done to the queue while the one before waited.
            (row,) = await statements.write("queue_renew", name, *locked[0])
            return queue_from(row)

        return await self._database.transact(renewed)

    async def drop(self, name: str) -> bool:
        """Delete the queue; what it leaves behind is tidied up."""
        return bool(await self._database.write("queue_drop", name))

    async def deleted_at(self, name: str) -> datetime | None:
        """Look up when a queue was deleted."""
        rows = await self._database.read("queue_deleted_at", name, DELETED_KNOWN_MS)
        return rows[0][0] if rows else None

    async def sources(self, dlq: str, after: str, limit: int) -> list[Queue]:
        """Queues by name whose dead letters go there."""
        return [queue_from(row) for row in await self._database.read("queue_sources", dlq, after, limit)]

    async def pause(self, name: str, paused: bool) -> Queue | None:
        """Pause the queue or let it go on."""
        rows = await self._database.write("queue_pause", name, paused)
        return queue_from(rows[0]) if rows else None

    async def page(self, after: str, limit: int, prefix: str = "") -> list[Queue]:
        """Queues by name."""
        return [queue_from(row) for row in await self._database.read("queue_page", after, limit, prefix)]
