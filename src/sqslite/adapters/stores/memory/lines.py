"""Lines that messages stand in: heaps whose outlived entries are dropped when they come up."""

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import islice, takewhile

from sqslite.adapters.stores.memory.rows import Row

Key = tuple[datetime, int]


class Line:
    """Rows in the order of a key, as far as they stand there still."""

    def __init__(self, key: Callable[[Row], Key], stands: Callable[[Row], bool], rows: dict[int, Row]) -> None:
        self._key = key
        self._stands = stands
        self._rows = rows
        self._heap: list[Key] = []

    def add(self, row: Row) -> None:
        """Stand the row in line."""
        heapq.heappush(self._heap, self._key(row))

    def first(self) -> Row | None:
        """The first in line, None where nobody stands there."""
        while self._heap:
            row = self._rows.get(self._heap[0][1])
            if row is not None and self._stands(row) and self._key(row) == self._heap[0]:
                return row
            heapq.heappop(self._heap)
        return None

    def firsts(
        self, count: int, where: Callable[[Row], bool] = lambda _: True, until: datetime | None = None
    ) -> list[Row]:
        """Up to so many of those that it holds for, in order, none behind the instant; they stay in line."""
        with closing(self.in_order()) as in_order:
            near = takewhile(lambda row: until is None or self._key(row)[0] <= until, in_order)
            return list(islice(filter(where, near), count))

    def in_order(self) -> Generator[Row, None, None]:
        """All in line; nothing may change until it is closed, and what was gone through stays."""
        taken: list[Key] = []
        try:
            while (row := self.first()) is not None:
                entry = heapq.heappop(self._heap)
                # The same row may have come to stand at the same place twice.
                if entry not in taken[-1:]:
                    taken.append(entry)
                    yield row
        finally:
            for entry in taken:
                heapq.heappush(self._heap, entry)


def in_rounds(lines: Iterable[Iterator[Row]]) -> Iterator[Row]:
    """One of each line, then a second of each, and so on."""
    waiting = deque(lines)
    while waiting:
        line = waiting.popleft()
        row = next(line, None)
        if row is not None:
            yield row
            waiting.append(line)


def due(row: Row) -> Key:
    """The place among those in the same state."""
    return (row.not_before if row.lease_until is None else row.lease_until, row.id)


def by_acceptance(row: Row) -> Key:
    """The place in a group of a FIFO queue."""
    return datetime.min, row.id


def by_retention(row: Row) -> Key:
    """The place among those that are not kept for ever."""
    return row.expires_at or datetime.max, row.id
