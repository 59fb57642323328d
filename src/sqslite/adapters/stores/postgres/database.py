"""One PostgreSQL as store, catalog and statistics see it: statements by name, at one time."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow

from sqslite.adapters.stores.postgres.arrays import array_parameters
from sqslite.adapters.stores.postgres.connections import Connections, Session, rows_of
from sqslite.adapters.stores.postgres.rows import MESSAGE_COLUMNS, QUEUE_COLUMNS, REDRIVE_COLUMNS
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.ports import Clock

T = TypeVar("T")
NOW = "{now}"
# Unlike now() it moves on within a transaction: for a statement behind a lock, what held the lock is past.
SERVER_TIME = "statement_timestamp()"
_COLUMNS = {
    "{message}": ("m", MESSAGE_COLUMNS),
    "{queue}": ("q", QUEUE_COLUMNS),
    "{redrive}": ("r", REDRIVE_COLUMNS),
}
_PARAMETER = re.compile(r"\$(\d+)")


class Statements(Protocol):
    """Where statements are run that change something: each a transaction of its own, or all within one."""

    async def write(self, name: str, *parameters: object) -> list[TupleRow]:
        """The rows that the statement gives."""
        ...


class Transaction(Statements, Protocol):
    """Statements of one transaction."""

    async def write_within(self, wait_ms: int, name: str, *parameters: object) -> list[TupleRow] | None:
        """The rows that the statement gives; None where it would have to wait longer than that for a lock."""
        ...


class Database:
    """Runs the statements of the `sql` folder. `clock` None: time is the server's own."""

    def __init__(self, connections: Connections, clock: Clock | None) -> None:
        self._connections = connections
        self._clock = clock
        texts = statement_texts()
        self._timed = frozenset(name for name, text in texts.items() if NOW in text)
        self._texts = {name: with_time(text, injected=clock is not None).encode() for name, text in texts.items()}
        self._arrays = {name: array_parameters(text) for name, text in texts.items()}

    async def read(self, name: str, *parameters: object) -> list[TupleRow]:
        """The rows of a statement that changes nothing."""
        return await self._connections.read(*self.prepared(name, parameters))

    async def write(self, name: str, *parameters: object) -> list[TupleRow]:
        """The rows of a statement that changes something; it has been committed."""
        return await self._connections.write(*self.prepared(name, parameters))

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run the work's statements in one transaction. It may be run again, where the server rolled it back."""
        return await self._connections.transact(lambda session: work(_SessionTransaction(self, session)))

    async def transact_by_hand(self, work: Callable[[Session], Awaitable[T]], seconds_max: float) -> T:
        """Run the work in one transaction, with statements of its own."""
        return await self._connections.transact(work, seconds_max)

    def prepared(self, name: str, parameters: Sequence[object]) -> tuple[bytes, Sequence[object]]:
        """The text of a statement, and its parameters: arrays as what they are cast to, and the time where injected."""
        given: list[Any] = list(parameters)
        for place, array in self._arrays[name].items():
            given[place] = array(given[place])
        if self._clock is not None and name in self._timed:
            given.append(self._clock.now())
        return self._texts[name], given


class _SessionTransaction:
    def __init__(self, database: Database, session: Session) -> None:
        self._database = database
        self._session = session

    async def write(self, name: str, *parameters: object) -> list[TupleRow]:
        return await rows_of(self._session, *self._database.prepared(name, parameters))

    async def write_within(self, wait_ms: int, name: str, *parameters: object) -> list[TupleRow] | None:
        try:
            async with self._session.transaction():
                await self._session.execute(f"SET LOCAL lock_timeout = {wait_ms}".encode())
                rows = await self.write(name, *parameters)
                await self._session.execute(b"SET LOCAL lock_timeout = DEFAULT")
                return rows
        except LockNotAvailable:
            return None


def statement_texts() -> dict[str, str]:
    """The statements of the `sql` folder by name, with the lists of columns in them."""
    texts = load_statements(__package__)
    for placeholder, (alias, columns) in _COLUMNS.items():
        listed = ", ".join(f"{alias}.{column}" for column in columns.split(", "))
        texts = {name: text.replace(placeholder, listed) for name, text in texts.items()}
    return texts


def with_time(text: str, *, injected: bool) -> str:
    """The statement with the server's time in it, or with a parameter in its place: the one past the last."""
    if not injected:
        return text.replace(NOW, SERVER_TIME)
    last = max((int(number) for number in _PARAMETER.findall(text)), default=0)
    return text.replace(NOW, f"${last + 1}::timestamptz")
