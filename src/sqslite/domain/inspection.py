"""The use cases of those who look at queues and messages without touching them."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from sqslite.domain import limits
from sqslite.domain.administration import QueueAdministration
from sqslite.domain.errors import InvalidValue, MessageNotFound
from sqslite.domain.explain import Explanation, explain
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Message
from sqslite.domain.ports import Depth, Position, QueueStats, Totals
from sqslite.domain.queues import Defaults, Queue
from sqslite.domain.tally import Tally
from sqslite.domain.use_cases import PeekPage

PEEKED_STATES = (State.READY, State.DELAYED, State.LEASED)
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

        `after` comes from the page before; `limit` None means PAGE_DEFAULT. While messages change their states
        between two pages, one may be shown twice or not at all. Raises QueueNotFound and InvalidValue.
        """
        limit = limits.check_range("limit", limits.PAGE_DEFAULT if limit is None else limit, 1, limits.PAGE_MAX)
        states = PEEKED_STATES if state is None else (_state(state),)
        start, position = _place(after) if after else (states[0], None)
        if start not in states:
            raise InvalidValue("after", after, "what the page before it answered, with the same state")
        queue = await self._administration.get(name)
        page: list[tuple[State, Message]] = []
        for current in states[states.index(start) :]:
            found = await self._stats.peek(queue.partition_id, current, position, limit - len(page) + 1)
            page += [(current, self._completed(queue, message)) for message in found]
            position = None
            if len(page) > limit:
                del page[limit:]
                return PeekPage(page, _token(*page[-1]))
        return PeekPage(page, None)

    async def explain(self, message_id: int) -> Explanation:
        """The message as it stands, and why it is or is not delivered now. Raises MessageNotFound."""
        seen = await self._stats.sight(message_id)
        if seen is None:
            raise MessageNotFound(message_id)
        return explain(replace(seen, message=self._completed(seen.queue, seen.message)))

    def _completed(self, queue: Queue, message: Message) -> Message:
        return self._defaults.retry_policy(queue.name, queue.settings).completed(message)


def _state(text: str) -> State:
    if text not in PEEKED_STATES:
        raise InvalidValue("state", text, f"one of {', '.join(PEEKED_STATES)}")
    return State(text)


def _token(state: State, message: Message) -> str:
    at = message.not_before if message.lease_until is None else message.lease_until
    return f"{state}.{(at - _EPOCH) // _MICROSECOND}.{message.id}"


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
