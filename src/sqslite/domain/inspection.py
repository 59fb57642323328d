"""The use cases of those who look at queues and messages without touching them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from sqslite.domain import limits
from sqslite.domain.administration import QueueAdministration
from sqslite.domain.errors import InvalidValue, MessageNotFound
from sqslite.domain.explain import Explanation, explain
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Message, size_of
from sqslite.domain.ports import Depth, Position, QueueStats, Totals
from sqslite.domain.queues import Defaults, Queue
from sqslite.domain.tally import Tally
from sqslite.domain.use_cases import PeekPage

PEEKED_STATES = (State.READY, State.DELAYED, State.LEASED)
# Messages that are read before anybody knows how large they are.
PEEKED_FIRST = 16
# And then, for small ones may be followed by large ones.
PEEKED_AT_ONCE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class QueueInspection:
    """Counts, peeks and explanations."""

    def __init__(
        self, stats: QueueStats, administration: QueueAdministration, tally: Tally, defaults: Defaults
    ) -> None:
        self._stats = stats
        self._administration = administration
        self._tally = tally
        self._defaults = defaults

    async def stats(self, name: str) -> tuple[Depth, Totals]:
        """How many messages are in which state, and what happened so far. Raises QueueNotFound."""
        queue = await self._administration.get(name)
        (depth,) = await self._stats.depths([queue])
        return depth, await self._tally.totals(queue.partition_id)

    async def peek(self, name: str, state: str | None, after: str | None, limit: int | None) -> PeekPage:
        """Messages in that state, or (None) the ready, then the delayed, then the leased ones, a page at a time.

        `after` comes from the page before; `limit` None means PAGE_DEFAULT. A page ends earlier where its messages have
        PAGE_BYTES_MAX together. While messages change their states between two pages, one may be shown twice or not at
        all. Raises QueueNotFound and InvalidValue.
        """
        limit = limits.check_range("limit", limits.PAGE_DEFAULT if limit is None else limit, 1, limits.PAGE_MAX)
        states = PEEKED_STATES if state is None else (_state(state),)
        start, position = _place(after) if after else (states[0], None)
        if start not in states:
            raise InvalidValue("after", after, "what the page before it answered, with the same state")
        queue = await self._administration.get(name)
        page = _Page(limit)
        for current in states[states.index(start) :]:
            wanted = page.wanted()
            while found := await self._stats.peek(queue.partition_id, current, position, wanted):
                if not page.take(current, [self._completed(queue, message) for message in found]):
                    return PeekPage(page.messages, _token(*page.messages[-1]))
                if len(found) < wanted:
                    break
                position, wanted = _position(found[-1]), page.wanted()
            position = None
        return PeekPage(page.messages, None)

    async def explain(self, message_id: int) -> Explanation:
        """The message as it stands, and why it is or is not delivered now. Raises MessageNotFound."""
        seen = await self._stats.sight(message_id)
        if seen is None:
            raise MessageNotFound(message_id)
        return explain(replace(seen, message=self._completed(seen.queue, seen.message)))

    def _completed(self, queue: Queue, message: Message) -> Message:
        return self._defaults.retry_policy(queue.name, queue.settings).completed(message)


class _Page:
    """The messages of one page, which are read few at a time as long as nobody knows how large they are."""

    def __init__(self, limit: int) -> None:
        self.messages: list[tuple[State, Message]] = []
        self._limit = limit
        self._bytes = 0
        self._largest_bytes = limits.PAGE_BYTES_MAX // PEEKED_FIRST

    def wanted(self) -> int:
        """How many to read next: one more than the page has room for says that there is another page."""
        fitting = max(1, limits.PAGE_BYTES_MAX // max(1, self._largest_bytes))
        return min(fitting, PEEKED_AT_ONCE, self._limit - len(self.messages) + 1)

    def take(self, state: State, found: Sequence[Message]) -> bool:
        """Put them on the page; whether there was room for all of them."""
        sizes = [size_of(message.body, message.attributes) for message in found]
        for message, size in zip(found, sizes, strict=True):
            if len(self.messages) == self._limit or (self.messages and self._bytes + size > limits.PAGE_BYTES_MAX):
                return False
            self.messages.append((state, message))
            self._bytes += size
        self._largest_bytes = max(sizes)
        return True


def _state(text: str) -> State:
    if text not in PEEKED_STATES:
        raise InvalidValue("state", text, f"one of {', '.join(PEEKED_STATES)}")
    return State(text)


def _position(message: Message) -> Position:
    return Position(message.not_before if message.lease_until is None else message.lease_until, message.id)


def _token(state: State, message: Message) -> str:
    place = _position(message)
    return f"{state}.{(place.at - _EPOCH) // _MICROSECOND}.{place.id}"


def _place(token: str) -> tuple[State, Position]:
    try:
        state, micros, number = token.split(".")
        if not (micros.isascii() and micros.isdigit() and number.isascii() and number.isdigit()):
            raise ValueError(token)
        place = Position(_EPOCH + timedelta(microseconds=int(micros)), int(number))
        if state not in PEEKED_STATES or place.id > limits.MESSAGE_ID_MAX:
            raise ValueError(token)
    except (ValueError, OverflowError):
        raise InvalidValue("after", token, "what the page before it answered") from None
    return State(state), place
