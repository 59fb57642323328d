"""All the store ports on one SQLite file."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import aiosqlite

from sqslite.adapters.examination import Finding
from sqslite.adapters.migrations import load_migrations, pending
from sqslite.adapters.stores.sqlite.catalog import SqliteQueueCatalog
from sqslite.adapters.stores.sqlite.connections import BUSY_TIMEOUT_MS_DEFAULT, WAITERS_MAX_DEFAULT, Connections
from sqslite.adapters.stores.sqlite.examining import examined
from sqslite.adapters.stores.sqlite.redrives import SqliteRedrives
from sqslite.adapters.stores.sqlite.rows import stored_instant
from sqslite.adapters.stores.sqlite.stats import SqliteQueueStats
from sqslite.adapters.stores.sqlite.store import SqliteStore
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.ports import Clock

_SQL = load_statements(__package__)


class SqliteBackend:
    """One SQLite file; another process, such as a sweeper, may have it open too.

    `busy_timeout_ms` is how long a write waits for another process's, `waiters_max` how many calls may
    wait in this one; beyond either a call is refused with Overloaded.
    """

    def __init__(
        self,
        path: Path | str,
        clock: Clock,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS_DEFAULT,
        waiters_max: int = WAITERS_MAX_DEFAULT,
    ) -> None:
        self._clock = clock
        self._path = Path(path)
        self._connections = Connections(self._path, busy_timeout_ms, waiters_max)
        self._store = SqliteStore(self._connections, clock)
        self._catalog = SqliteQueueCatalog(self._connections, clock)
        self._stats = SqliteQueueStats(self._connections, clock)
        self._redrives = SqliteRedrives(self._connections, clock)

    @property
    def store(self) -> SqliteStore:
        """Messages and leases."""
        return self._store

    @property
    def catalog(self) -> SqliteQueueCatalog:
        """Queues."""
        return self._catalog

    @property
    def stats(self) -> SqliteQueueStats:
        """Counts and peeks."""
        return self._stats

    @property
    def redrives(self) -> SqliteRedrives:
        """Redrive tasks."""
        return self._redrives

    async def open(self) -> None:
        """Open the file, made where there is none. Raises StoreUnavailable where that cannot be."""
        await self._connections.open()

    async def migrate(self) -> list[str]:
        """Bring the schema up to date, all of it or nothing; a second process waits for the first."""

        async def apply(writer: aiosqlite.Connection) -> list[str]:
            await writer.execute_fetchall(_SQL["migrate_history"])
            applied = {row["version"] for row in await writer.execute_fetchall(_SQL["migrate_applied"])}
            migrations = pending(load_migrations("sqlite"), applied)
            for migration in migrations:
                for statement in _statements(migration.sql):
                    await writer.execute_fetchall(statement)
                record = {
                    "version": migration.version,
                    "name": migration.name,
                    "applied_at": stored_instant(self._clock.now()),
                }
                await writer.execute_fetchall(_SQL["migrate_record"], record)
            return [migration.name for migration in migrations]

        return await self._connections.write(apply)

    async def ping(self) -> None:
        """Ask the file for its schema's version. Raises StoreUnavailable where it has none yet."""
        await self._connections.read(_SQL["ping"], {})

    async def examine(self) -> list[Finding]:
        """See Backend."""
        return await examined(self._connections, self._path, self._clock.now())

    async def close(self) -> None:
        """Let go of the file, with everything in it and nothing in its log."""
        await self._connections.close()


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit before it begins."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
