"""The groups of one queue, which take turns."""

import heapq
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from itertools import islice

from sqslite.adapters.stores.memory.lines import Line, by_acceptance, due, in_rounds
from sqslite.adapters.stores.memory.rows import Row
from sqslite.domain.lifecycle import State
from sqslite.domain.queues import Discipline


class Group:
    """Messages that are served in order: those ready in a line, and which of all were delivered and are not ready."""

    def __init__(self, turn: int, fifo: bool, line: Line) -> None:
        self.turn = turn
        self.line = line
        self.ids: set[int] = set()
        self.in_work: set[int] = set()
        self._fifo = fifo
        self.in_turn = False

    @property
    def blocked(self) -> bool:
        """Whether it waits for what is in work."""
        return self._fifo and bool(self.in_work)

    def place(self, row: Row) -> None:
        """The row stands in another state now."""
        if row.stands_in is State.READY:
            self.line.add(row)
        if row.delivery_count and row.stands_in is not State.READY:
            self.in_work.add(row.id)
        else:
            self.in_work.discard(row.id)


class Groups:
    """All groups that have messages, by turn; a group with nothing to give is passed over until something changes."""

    def __init__(self, partition_id: int, rows: dict[int, Row], next_turn: Callable[[], int]) -> None:
        self._partition_id = partition_id
        self._rows = rows
        self._next_turn = next_turn
        self._groups: dict[str, Group] = {}
        self._turns: list[tuple[int, str]] = []

    def of(self, row: Row) -> Group:
        """The row's group."""
        return self._groups[row.group]

    def join(self, row: Row, discipline: Discipline) -> None:
        """A row is new here; a group that is new comes behind all others."""
        if row.group not in self._groups:
            self._groups[row.group] = self._made(row.group, discipline is Discipline.FIFO)
        self._groups[row.group].ids.add(row.id)

    def place(self, row: Row) -> None:
        """The row stands in another state now."""
        self._groups[row.group].place(row)
        self._stir(row.group)

    def release(self, row: Row) -> None:
        """The row keeps its group waiting no longer, though it stands where it did."""
        self._groups[row.group].in_work.discard(row.id)
        self._stir(row.group)

    def leave(self, row: Row) -> None:
        """The row is no longer here."""
        group = self._groups[row.group]
        group.ids.discard(row.id)
        group.in_work.discard(row.id)
        if group.ids:
            self._stir(row.group)
        else:
            del self._groups[row.group]

    def choose(self, limit: int, kept: Callable[[Row], bool]) -> list[Row]:
        """One of each group in turn, then a second of each, and so on; those that were chosen had their turn."""
        with ExitStack() as stack:
            in_turn = islice(self._that_give(kept), limit)
            lines = [stack.enter_context(closing(_kept(group.line, kept))) for group in in_turn]
            chosen = list(islice(in_rounds(lines), limit))
        return self._served(chosen)

    def choose_whole(self, limit: int, kept: Callable[[Row], bool]) -> list[Row]:
        """All of the group whose turn it is, then all of the next, and so on; those that were chosen had their turn."""
        chosen: list[Row] = []
        in_turn = self._that_give(kept)
        while len(chosen) < limit and (group := next(in_turn, None)):
            chosen += group.line.firsts(limit - len(chosen), kept)
        return self._served(chosen)

    def _served(self, chosen: list[Row]) -> list[Row]:
        for name in dict.fromkeys(row.group for row in chosen):
            self._groups[name].turn = self._next_turn()
            self._stir(name)
        return chosen

    def _that_give(self, kept: Callable[[Row], bool]) -> Iterator[Group]:
        """Groups that have something to give, in turn; they are out of turn until something changes."""
        while self._turns:
            turn, name = heapq.heappop(self._turns)
            group = self._groups.get(name)
            # A group that was emptied and came again has another turn.
            if group is not None and group.turn == turn:
                group.in_turn = False
                if not group.blocked and group.line.firsts(1, kept):
                    yield group

    def _stir(self, name: str) -> None:
        group = self._groups[name]
        if not group.in_turn:
            group.in_turn = True
            heapq.heappush(self._turns, (group.turn, name))

    def _made(self, name: str, fifo: bool) -> Group:
        def stands(row: Row) -> bool:
            return row.partition_id == self._partition_id and row.group == name and row.stands_in is State.READY

        return Group(self._next_turn(), fifo, Line(by_acceptance if fifo else due, stands, self._rows))


def _kept(line: Line, kept: Callable[[Row], bool]) -> Generator[Row, None, None]:
    with closing(line.in_order()) as in_order:
        yield from filter(kept, in_order)
