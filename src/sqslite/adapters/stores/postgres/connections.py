"""Connections to one PostgreSQL, and the rules for statements on them: none hangs, none is cut off, none lies."""

import asyncio
import select
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from sqslite.adapters.stores.postgres import arrays, errors
from sqslite.domain.errors import StoreUnavailable

T = TypeVar("T")

STATEMENT_S_MAX = 4
# The server ends a statement on time, unless it or the network is stuck: then the client does, a little later.
ANSWER_S_MAX = STATEMENT_S_MAX + 2
RECONNECT_S = 0.25
ATTEMPTS_MAX = 5
DEAD_CONNECTIONS_MAX = 10
CLOSING_S_MAX = 5.0
# A plan is made for the table as it is: one that is kept lags behind what has come since. The seconds bound that under
# load; the calls spare a connection that has little to do.
PLANS_KEPT_S = 1.0
PLANS_KEPT_CALLS = 10

SESSION = {
    "autocommit": True,
    "client_encoding": "utf8",
    "application_name": "sqslite",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "cursor_factory": AsyncRawCursor,
}
# What no statement can say for itself. UTC makes every instant come back as UTC. To plan a statement takes longer than
# to carry it out, so plans are kept, for whatever parameters come; made while a table is empty, they would read all of
# it one after another if they might.
# A node that hangs within a transaction holds locks that others wait for: it loses them.
OPTIONS = (
    f"-c timezone=UTC -c statement_timeout={STATEMENT_S_MAX}s -c plan_cache_mode=force_generic_plan "
    f"-c idle_in_transaction_session_timeout={ANSWER_S_MAX}s -c jit=off -c enable_seqscan=off"
)


class Session(AsyncConnection[TupleRow]):
    """A connection that remembers what its pool needs to know of it."""

    generation = 0
    """Connections of one generation were made since the last loss; they live and die together."""
    replication_given_up = False
    """The server has warned that it stopped waiting for its standby."""
    _planned_at_s = 0.0
    _calls_since = 0

    @property
    def stale(self) -> bool:
        """Something came in while nothing was asked: that it ended, nearly always. Costs no round trip."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))

    async def plan_anew_now_and_then(self) -> None:
        """Forget the plans that are too old for what may be there by now."""
        self._calls_since += 1
        if self._calls_since > PLANS_KEPT_CALLS and time.monotonic() >= self._planned_at_s + PLANS_KEPT_S:
            await self.execute(b"DISCARD PLANS", prepare=False)
            self._planned_at_s, self._calls_since = time.monotonic(), 0

    def heed(self, notice: psycopg.errors.Diagnostic) -> None:
        """Take note of a warning on a commit under synchronous replication."""
        if notice.sqlstate in errors.SYNCHRONOUS_REPLICATION_CANCELLED:
            self.replication_given_up = True


Work = Callable[[Session], Awaitable[T]]


class Connections:
    """A bounded pool that opens without a server, finds it when it comes, and finds it again when it was lost."""

    def __init__(self, url: str, *, pool_size: int, connection_timeout_s: float, waiters_max: int) -> None:
        own_options = psycopg.conninfo.conninfo_to_dict(url).get("options") or ""
        adapters = AdaptersMap(psycopg.adapters)
        # The driver sends an integer in as few bytes as it needs; with one size for all, a statement is prepared once.
        adapters.register_dumper(int, Int8BinaryDumper)
        # Left to itself it sends arrays as text, in which bodies are twice as long.
        adapters.register_dumper(list, ListBinaryDumper)
        arrays.register(adapters)
        self._url = url
        self._session_parameters = {
            **SESSION,
            "context": _Context(adapters),
            "connect_timeout": max(2, round(connection_timeout_s)),
            "options": f"{OPTIONS} {own_options}",
        }
        self._pool_size = pool_size
        self._connection_timeout_s = connection_timeout_s
        self._waiters_max = waiters_max
        self._pool: AsyncConnectionPool[Session] | None = None
        self._generation = 0
        self._reachable = False
        self._statements: set[asyncio.Task[object]] = set()

    async def open(self) -> None:
        """Start connecting, and wait for nothing."""
        if self._pool is None:
            self._pool = AsyncConnectionPool(
                self._url,
                connection_class=Session,
                kwargs=self._session_parameters,
                min_size=1,
                max_size=self._pool_size,
                max_waiting=self._waiters_max,
                timeout=self._connection_timeout_s,
                reconnect_timeout=RECONNECT_S,
                configure=self._connected,
                reconnect_failed=self._not_connected,
                open=False,
            )
            await self._pool.open(wait=False)

    async def close(self) -> None:
        """Let statements end, then let go of every connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            if self._statements:
                await asyncio.wait(self._statements, timeout=CLOSING_S_MAX)
            await pool.close(CLOSING_S_MAX)

    async def refusal(self) -> str | None:
        """Why no connection can be made, in the words of the server or the network; None where one can."""
        try:
            session = await Session.connect(self._url, **self._session_parameters)  # type: ignore[arg-type]  # as SESSION
        except psycopg.Error as error:
            return errors.first_line(error)
        await session.close()
        return None

    async def read(self, sql: bytes, parameters: Sequence[object]) -> list[TupleRow]:
        """The rows of a statement that changes nothing."""
        return await self._carried_out(lambda session: rows_of(session, sql, parameters), writing=False)

    async def write(self, sql: bytes, parameters: Sequence[object]) -> list[TupleRow]:
        """The rows of a statement that is a transaction of its own; once this returns, it has been committed."""
        return await self._carried_out(lambda session: rows_of(session, sql, parameters), writing=True)

    async def transact(self, work: Work[T], seconds_max: float | None = None) -> T:
        """Run the work in one transaction of its own; once this returns, it has been committed."""

        async def transaction(session: Session) -> T:
            async with session.transaction():
                return await work(session)

        return await self._carried_out(transaction, writing=True, seconds_max=seconds_max)

    async def _carried_out(self, work: Work[T], *, writing: bool, seconds_max: float | None = None) -> T:
        """Do the work on a connection. Whoever is cancelled meanwhile learns so when the work has ended.

        A commit in progress must not be cancelled, and an abandoned connection would have to be dropped.
        """
        pool, session = await self._checked_out()
        statement = asyncio.ensure_future(self._done(pool, session, work, writing, seconds_max or ANSWER_S_MAX))
        self._statements.add(statement)
        statement.add_done_callback(self._statements.discard)
        try:
            return await asyncio.shield(statement)
        except asyncio.CancelledError:
            await asyncio.wait([statement])
            raise

    async def _done(
        self, pool: AsyncConnectionPool[Session], session: Session, work: Work[T], writing: bool, seconds_max: float
    ) -> T:
        changing = False
        try:
            async with asyncio.timeout(seconds_max):
                await session.plan_anew_now_and_then()
                changing = writing
                result = await _insisted(session, work)
            if session.pgconn.transaction_status != TransactionStatus.IDLE:
                raise errors.lost(writing=writing)
            if writing and session.replication_given_up:
                raise errors.not_replicated()
            return result
        except psycopg.Error as error:
            meaning = errors.translated(error, writing=changing)
            if meaning is None:
                raise
            if error.sqlstate == errors.READ_ONLY_TRANSACTION:
                # The primary is elsewhere now: only a new connection will find it.
                await session.close()
            raise meaning from error
        except TimeoutError:
            await session.close()
            raise errors.lost(writing=changing) from None
        finally:
            await self._put_back(pool, session)

    async def _checked_out(self) -> tuple[AsyncConnectionPool[Session], Session]:
        """A connection that is alive as far as can be told without asking the server."""
        pool = self._pool
        if pool is None:
            raise errors.no_connection(PoolClosed(), reachable=False)
        for _ in range(DEAD_CONNECTIONS_MAX):
            try:
                session = await pool.getconn()
            except (PoolTimeout, TooManyRequests, PoolClosed) as error:
                raise errors.no_connection(error, reachable=self._reachable) from error
            if not session.stale:
                return pool, session
            await session.close()
            await asyncio.shield(self._put_back(pool, session))
        raise StoreUnavailable("the database ends every connection")

    async def _put_back(self, pool: AsyncConnectionPool[Session], session: Session) -> None:
        if session.replication_given_up:
            await session.close()
        elif session.closed and session.generation == self._generation:
            # When one connection is lost the others mostly are, too: none of them shall fail a later call.
            self._generation += 1
            self._reachable = False
            await pool.drain()
        await pool.putconn(session)

    async def _connected(self, session: Session) -> None:
        session.generation = self._generation
        session.add_notice_handler(session.heed)
        self._reachable = True

    async def _not_connected(self, pool: AsyncConnectionPool[Session]) -> None:
        self._reachable = False
        # The pool has given up; as long as somebody waits it is told to try again.
        if pool.get_stats()["requests_waiting"]:
            await pool.check()


class _Context:
    """Where psycopg looks adapters up."""

    connection = None

    def __init__(self, adapters: AdaptersMap) -> None:
        self.adapters = adapters


async def rows_of(session: Session, sql: bytes, parameters: Sequence[object]) -> list[TupleRow]:
    """The rows of one statement on a connection."""
    cursor = await session.execute(sql, parameters, prepare=True, binary=True)
    return await cursor.fetchall()


async def _insisted(session: Session, work: Work[T]) -> T:
    """Do the work; again, a bounded number of times, where the server rolled it back for another one's sake."""
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            return await work(session)
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
            continue
    return await work(session)
