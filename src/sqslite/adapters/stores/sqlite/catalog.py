"""Queues in SQLite."""

import aiosqlite
import msgspec

from sqslite.adapters.stores.sqlite.connections import Connections
from sqslite.adapters.stores.sqlite.rows import queue_of, stored_instant
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.ports import Clock
from sqslite.domain.queues import Queue, QueueSettings

_SQL = load_statements(__package__)


class SqliteQueueCatalog:
    """The QueueCatalog port on a SQLite file."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    async def find(self, name: str) -> Queue | None:
        """Look a queue up."""
        rows = await self._connections.read(_SQL["find"], {"name": name})
        return queue_of(rows[0]) if rows else None

    async def ensure(self, name: str, settings: QueueSettings) -> Queue:
        """Look a queue up or create it."""

        async def create(writer: aiosqlite.Connection) -> Queue:
            await writer.execute_fetchall(_SQL["ensure"], self._row(name, settings))
            (row,) = await writer.execute_fetchall(_SQL["find"], {"name": name})
            return queue_of(row)

        found = await self.find(name)
        return await self._connections.write(create) if found is None else found

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """Create a queue or change its settings."""

        async def change(writer: aiosqlite.Connection) -> tuple[Queue, bool]:
            there = list(await writer.execute_fetchall(_SQL["find"], {"name": name}))
            await writer.execute_fetchall(_SQL["put" if there else "ensure"], self._row(name, settings))
            (row,) = await writer.execute_fetchall(_SQL["find"], {"name": name})
            return queue_of(row), not there

        return await self._connections.write(change)

    def _row(self, name: str, settings: QueueSettings) -> dict[str, object]:
        stored = msgspec.json.encode(settings).decode()
        return {"name": name, "settings": stored, "created_at": stored_instant(self._clock.now())}

    async def page(self, after: str, limit: int, prefix: str = "") -> list[Queue]:
        """Queues by name; SQLite compares text bytewise unless told otherwise."""
        rows = await self._connections.read(_SQL["page"], {"after": after, "limit": limit, "prefix": prefix})
        return [queue_of(row) for row in rows]
