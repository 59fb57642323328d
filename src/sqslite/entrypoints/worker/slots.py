"""How many handlers may run at once."""

import asyncio
from collections import deque


class Slots:
    """`limit` places; who finds none waits, and is served in the order of coming."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[tuple[int, asyncio.Future[int]]] = deque()

    @property
    def free(self) -> int:
        """How many places nobody has."""
        return self._free

    async def take(self, most: int) -> int:
        """At least one place and at most `most`, as soon as there is one; how many it are."""
        if self._free and not self._waiting:
            return self._granted(most)
        granted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        entry = (most, granted)
        self._waiting.append(entry)
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give_back(granted.result())
            elif entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def give_back(self, count: int) -> None:
        """`count` places are free again."""
        self._free += count
        while self._free and self._waiting:
            most, granted = self._waiting.popleft()
            if not granted.done():
                granted.set_result(self._granted(most))

    def _granted(self, most: int) -> int:
        count = min(most, self._free)
        self._free -= count
        return count
