"""Queues in SQLite."""

import sqlite3
from datetime import datetime

import aiosqlite
import msgspec

from sqslite.adapters.stores.sqlite.connections import Connections
from sqslite.adapters.stores.sqlite.rows import instant_of, queue_of, stored_instant
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.errors import QueueConflict
from sqslite.domain.limits import DELETED_KNOWN_MS, ms
from sqslite.domain.ports import Change, Clock
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

        async def put(writer: aiosqlite.Connection) -> tuple[Queue, bool]:
            there = await _found(writer, name)
            if there is not None:
                return await self._changed(writer, there, settings), False
            await writer.execute_fetchall(_SQL["ensure"], self._row(name, settings))
            (row,) = await writer.execute_fetchall(_SQL["find"], {"name": name})
            return queue_of(row), True

        return await self._connections.write(put)

    async def change(self, name: str, change: Change) -> Queue | None:
        """Change the settings that a queue has."""

        async def changed(writer: aiosqlite.Connection) -> Queue | None:
            there = await _found(writer, name)
            return None if there is None else await self._changed(writer, there, change(there.settings))

        return await self._connections.write(changed)

    async def renew(self, name: str) -> Queue | None:
        """Put the queue on a new partition."""

        async def begin_anew(writer: aiosqlite.Connection) -> Queue | None:
            row = await self._dropped(writer, name)
            if row is None:
                return None
            await writer.execute_fetchall(_SQL["renew"], {"name": name, "now": self._now(), **dict(row)})
            await writer.execute_fetchall(_SQL["renew_totals"], {"name": name, "partition_id": row["partition_id"]})
            return await _found(writer, name)

        return await self._connections.write(begin_anew)

    async def drop(self, name: str) -> bool:
        """Delete the queue."""

        async def delete(writer: aiosqlite.Connection) -> bool:
            row = await self._dropped(writer, name)
            if row is not None:
                await writer.execute_fetchall(_SQL["drop_totals"], {"partition_id": row["partition_id"]})
                await writer.execute_fetchall(_SQL["note_deleted"], {"name": name, "deleted_at": self._now()})
            return row is not None

        return await self._connections.write(delete)

    async def deleted_at(self, name: str) -> datetime | None:
        """Look up when a queue was deleted."""
        since = stored_instant(self._clock.now() - ms(DELETED_KNOWN_MS))
        rows = await self._connections.read(_SQL["deleted_at"], {"name": name, "since": since})
        return instant_of(rows[0]["deleted_at"]) if rows else None

    async def sources(self, dlq: str, after: str, limit: int) -> list[Queue]:
        """Queues by name whose dead letters go there."""
        rows = await self._connections.read(_SQL["sources"], {"dlq": dlq, "after": after, "limit": limit})
        return [queue_of(row) for row in rows]

    async def pause(self, name: str, paused: bool) -> Queue | None:
        """Set whether the queue gives anything out."""

        async def change(writer: aiosqlite.Connection) -> Queue | None:
            await writer.execute_fetchall(_SQL["pause"], {"name": name, "paused": paused})
            return await _found(writer, name)

        return await self._connections.write(change)

    async def _changed(self, writer: aiosqlite.Connection, there: Queue, settings: QueueSettings) -> Queue:
        if there.settings.fifo != settings.fifo:
            raise QueueConflict(there.name, there.settings.fifo)
        if there.settings == settings:
            return there
        await writer.execute_fetchall(_SQL["put"], self._row(there.name, settings))
        before_ms = there.settings.kept_ms
        if before_ms != settings.kept_ms:
            change = {"partition_id": there.partition_id, "before_ms": before_ms, "now": self._now()}
            await writer.execute_fetchall(_SQL["retain_note"], change)
        (row,) = await writer.execute_fetchall(_SQL["find"], {"name": there.name})
        return queue_of(row)

    async def _dropped(self, writer: aiosqlite.Connection, name: str) -> sqlite3.Row | None:
        """What was the queue's row, whose partition is dropped now."""
        rows = list(await writer.execute_fetchall(_SQL["drop"], {"name": name}))
        if not rows:
            return None
        dropped = {"partition_id": rows[0]["partition_id"], "dropped_at": self._now()}
        await writer.execute_fetchall(_SQL["drop_partition"], dropped)
        await writer.execute_fetchall(_SQL["drop_depths"], dropped)
        return rows[0]

    def _row(self, name: str, settings: QueueSettings) -> dict[str, object]:
        stored = msgspec.json.encode(settings).decode()
        return {"name": name, "settings": stored, "now": self._now()}

    def _now(self) -> int:
        return stored_instant(self._clock.now())

    async def page(self, after: str, limit: int, prefix: str = "") -> list[Queue]:
        """Queues by name; SQLite compares text bytewise unless told otherwise."""
        rows = await self._connections.read(_SQL["page"], {"after": after, "limit": limit, "prefix": prefix})
        return [queue_of(row) for row in rows]


async def _found(writer: aiosqlite.Connection, name: str) -> Queue | None:
    rows = list(await writer.execute_fetchall(_SQL["find"], {"name": name}))
    return queue_of(rows[0]) if rows else None
