"""One PostgreSQL as store, catalog and statistics see it: statements by name, at one time."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from psycopg.rows import TupleRow

from sqslite.adapters.stores.postgres.connections import Connections, Session
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.ports import Clock

T = TypeVar("T")
NOW = "{now}"
_PARAMETER = re.compile(r"\$(\d+)")


class Database:
    """Runs the statements of the `sql` folder. `clock` None: time is the server's own."""

    def __init__(self, connections: Connections, clock: Clock | None) -> None:
        self._connections = connections
        self._clock = clock
        texts = load_statements(__package__)
        self._timed = frozenset(name for name, text in texts.items() if NOW in text)
        self._texts = {name: with_time(text, injected=clock is not None).encode() for name, text in texts.items()}

    async def read(self, name: str, *parameters: object) -> list[TupleRow]:
        """The rows of a statement that changes nothing."""
        return await self._connections.read(self._texts[name], self._at_this_time(name, parameters))

    async def write(self, name: str, *parameters: object) -> list[TupleRow]:
        """The rows of a statement that changes something; it has been committed."""
        return await self._connections.write(self._texts[name], self._at_this_time(name, parameters))

    async def transact(self, work: Callable[[Session], Awaitable[T]], seconds_max: float) -> T:
        """Run the work in one transaction."""
        return await self._connections.transact(work, seconds_max)

    def _at_this_time(self, name: str, parameters: Sequence[object]) -> Sequence[object]:
        if self._clock is None or name not in self._timed:
            return parameters
        return [*parameters, self._clock.now()]


def with_time(text: str, *, injected: bool) -> str:
    """The statement with the server's time in it, or with a parameter in its place: the one past the last."""
    if not injected:
        return text.replace(NOW, "now()")
    last = max((int(number) for number in _PARAMETER.findall(text)), default=0)
    return text.replace(NOW, f"${last + 1}::timestamptz")
