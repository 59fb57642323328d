"""The connections to one SQLite file: one that writes, a few that read, and what their errors mean."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from sqslite.domain.errors import OutcomeUnknown, Overloaded, StoreUnavailable

T = TypeVar("T")

BUSY_TIMEOUT_MS_DEFAULT = 5_000
READERS = 3
WAITERS_MAX_DEFAULT = 1_000
# After a burst the log is cut back to this at the next checkpoint.
WAL_BYTES_KEPT = 64 * 1024 * 1024
# SQLite does not wait its busy timeout when a file is switched to WAL: the switch is tried again this often.
WAL_TRIES = 250
WAL_RETRY_MS = 20
# UPDATE … FROM and RETURNING.
SQLITE_VERSION_MIN = (3, 35, 0)

_WRITER_PRAGMAS = ("PRAGMA synchronous = FULL", f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
# A reader that cannot write cannot checkpoint either.
_READER_PRAGMAS = ("PRAGMA query_only = ON",)
_BUSY_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# A statement that is wrong is a defect of this adapter, not a state of the storage.
_DEFECTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)


class Turns:
    """So many at once, so many more in line, and nobody behind them."""

    def __init__(self, at_once: int, waiters_max: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._waiters = 0
        self._waiters_max = waiters_max

    @contextlib.asynccontextmanager
    async def one(self, bounded: bool = True) -> AsyncIterator[None]:
        """Hold a turn. Raises Overloaded where the line is full and the caller is bounded by it."""
        if bounded and self._free.locked() and self._waiters >= self._waiters_max:
            raise Overloaded(f"{self._waiters} calls wait for SQLite already; try again shortly")
        self._waiters += 1
        try:
            await self._free.acquire()
        finally:
            self._waiters -= 1
        try:
            yield
        finally:
            self._free.release()


class Connections:
    """One write connection, which all writes and checkpoints go through, and read connections beside it."""

    def __init__(self, path: Path, busy_timeout_ms: int, waiters_max: int) -> None:
        self._path = path.absolute()
        self._busy_timeout_s = busy_timeout_ms / 1000
        self._writing = Turns(1, waiters_max)
        self._reading = Turns(READERS, waiters_max)
        self._opened = False
        self._writer: aiosqlite.Connection | None = None
        self._readers: list[aiosqlite.Connection] = []
        self._next_reader: Iterator[aiosqlite.Connection] = cycle(())

    async def open(self) -> None:
        """Open the file, made where there is none. Raises StoreUnavailable where it cannot be."""
        if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
            raise StoreUnavailable(f"SQLite {sqlite3.sqlite_version} is too old: sqslite needs 3.35 or newer")
        if not self._path.parent.is_dir():
            raise StoreUnavailable(f"SQLite file {self._path} cannot be opened: its folder does not exist")
        try:
            with self._translated():
                self._writer = await self._connected_writer()
                for _ in range(READERS):
                    self._readers.append(await self._connected(_READER_PRAGMAS))
        except BaseException:
            await self.close()
            raise
        self._next_reader = cycle(self._readers)
        self._opened = True

    async def close(self) -> None:
        """Finish what runs, refuse what waits, bring the log into the file, and end the threads."""
        self._opened = False
        # A thread left running would keep the process from ending.
        await _carried_through(self._close())

    async def read(self, sql: str, parameters: Mapping[str, Any]) -> list[sqlite3.Row]:
        """The rows of one statement, which sees all that was committed before it began."""
        async with self._reading.one():
            self._check_open()
            with self._translated():
                return list(await next(self._next_reader).execute_fetchall(sql, parameters))

    async def write(self, work: Callable[[aiosqlite.Connection], Coroutine[Any, Any, T]]) -> T:
        """The work's result, once all it wrote is committed; where it raises, nothing was written.

        Work that has begun is carried through even when its caller is cancelled meanwhile: a transaction
        is never left open.
        """
        async with self._writing.one():
            self._check_open()
            return await _carried_through(self._transaction(work))

    async def _close(self) -> None:
        async with self._writing.one(bounded=False):
            readers, self._readers = self._readers, []
            for reader in readers:
                await _close_quietly(reader)
            if self._writer is not None:
                # Whoever opens the file next reads the log all the same.
                with contextlib.suppress(sqlite3.Error):
                    await self._writer.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
                await self._drop_writer()

    async def _transaction(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        with self._translated():
            if self._writer is None:
                self._writer = await self._connected_writer()
            try:
                await self._writer.execute_fetchall("BEGIN IMMEDIATE")
                result = await work(self._writer)
            except BaseException:
                await self._roll_back()
                raise
            await self._commit()
            return result

    async def _commit(self) -> None:
        assert self._writer is not None
        try:
            await self._writer.execute_fetchall("COMMIT")
        except BaseException as error:
            # What the file holds now, only a connection that reads it anew can tell.
            await self._drop_writer()
            if isinstance(error, sqlite3.Error):
                raise OutcomeUnknown(f"SQLite file {self._path}: the commit failed: {error}") from error
            raise

    async def _roll_back(self) -> None:
        assert self._writer is not None
        try:
            # SQLite itself has rolled back after some errors, such as a full disk.
            if self._writer.in_transaction:
                await self._writer.execute_fetchall("ROLLBACK")
        except sqlite3.Error:
            await self._drop_writer()

    async def _drop_writer(self) -> None:
        """Closing rolls back what is open; the next write connects anew."""
        if self._writer is not None:
            await _close_quietly(self._writer)
            self._writer = None

    async def _connected_writer(self) -> aiosqlite.Connection:
        writer = await self._connected(())
        try:
            await self._switch_to_wal(writer)
            for pragma in _WRITER_PRAGMAS:
                await writer.execute_fetchall(pragma)
        except BaseException:
            await _close_quietly(writer)
            raise
        return writer

    async def _switch_to_wal(self, writer: aiosqlite.Connection) -> None:
        for tries_left in reversed(range(WAL_TRIES)):
            try:
                ((mode,),) = await writer.execute_fetchall("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or not tries_left:
                    raise
                await asyncio.sleep(WAL_RETRY_MS / 1000)
            else:
                if mode != "wal":
                    raise StoreUnavailable(f"SQLite file {self._path}: its file system does not support WAL mode")
                return

    async def _connected(self, pragmas: tuple[str, ...]) -> aiosqlite.Connection:
        # isolation_level None: transactions begin where this module says so, and nowhere else.
        connection = await aiosqlite.connect(self._path, timeout=self._busy_timeout_s, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            for pragma in pragmas:
                await connection.execute_fetchall(pragma)
        except BaseException:
            await _close_quietly(connection)
            raise
        return connection

    def _check_open(self) -> None:
        if not self._opened:
            raise StoreUnavailable(f"SQLite file {self._path} is not open")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """The one place where SQLite's errors become the domain's."""
        try:
            yield
        except _DEFECTS:
            raise
        except sqlite3.Error as error:
            if _is_busy(error):
                raise Overloaded(f"SQLite file {self._path} is kept busy by another process: {error}") from error
            raise StoreUnavailable(f"SQLite file {self._path}: {error}") from error


def _is_busy(error: sqlite3.Error) -> bool:
    # The low byte is the primary code; extended codes say more in the others.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY_CODES


async def _carried_through(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which no cancellation of the caller stops; a cancelled caller hears of it at its end."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # Looked at, so that asyncio does not report a failure that nobody is left to hear of.
        task.cancelled() or task.exception()
        raise cancelled
    return task.result()


async def _close_quietly(connection: aiosqlite.Connection) -> None:
    """Close and end the thread; an error in closing leaves nothing that could be done about it."""
    with contextlib.suppress(sqlite3.Error):
        await connection.close()
