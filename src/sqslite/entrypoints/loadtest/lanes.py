"""A connection for each who calls, because a pool looks through all of its own for every request."""

from collections.abc import Sequence
from typing import TypeVar

from sqslite.adapters.client.calls import Call
from sqslite.entrypoints.client import AsyncWay

T = TypeVar("T")


class Lanes:
    """Makes each call by a way on which no other is under way; there must be as many ways as calls at once."""

    def __init__(self, ways: Sequence[AsyncWay]) -> None:
        self._ways = ways
        self._free = list(ways)

    async def open(self) -> None:
        """Open all ways."""
        for way in self._ways:
            await way.open()

    async def ask(self, call: Call[T], /) -> T:
        """The call's result."""
        way = self._free.pop()
        try:
            return await way.ask(call)
        finally:
            self._free.append(way)

    async def close(self) -> None:
        """Close all ways."""
        for way in self._ways:
            await way.close()
