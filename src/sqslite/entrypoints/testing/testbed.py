"""A node in memory, in the test's own process, whose time and faults the test decides."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from anyio.from_thread import BlockingPortal, start_blocking_portal

from sqslite.adapters.client.calls import Call, UseCases
from sqslite.adapters.faults import FaultRates
from sqslite.domain.errors import QueueNotFound
from sqslite.domain.messages import BodyKind, Message, Received
from sqslite.domain.service import QueueService
from sqslite.entrypoints.client import Client, Way
from sqslite.entrypoints.container import Container
from sqslite.entrypoints.in_process import working
from sqslite.entrypoints.settings import DatabaseUrl, Settings
from sqslite.entrypoints.testing.durations import Duration, milliseconds

SHOWN_MESSAGES_MAX = 10
IN_MEMORY = Settings(database_url=DatabaseUrl("memory://"), testing=True)
ANYTHING = object()


class TestClock:
    """The time of a testbed: it runs, or stands still once frozen, and `advance` moves it."""

    __test__ = False

    def __init__(self, portal: BlockingPortal, container: Container) -> None:
        self._portal = portal
        self._control = container.testing()

    @property
    def now(self) -> datetime:
        """The present instant, UTC."""
        return self._portal.call(lambda: self._control.now)

    def advance(self, duration: Duration) -> datetime:
        """Skip a time (`"30s"`, `"5m"`, a timedelta, seconds): what ends in it has ended when this returns."""
        return self._portal.call(self._control.advance, milliseconds(duration))

    def freeze(self) -> None:
        """Stand still from now on, but for `advance`. A receive with a wait then ends by a message only."""
        self._portal.call(self._control.freeze)

    def run(self) -> None:
        """Go on from where it stands."""
        self._portal.call(self._control.run)


class Testbed:
    """A node in memory, a client of it, its clock, and what a test asks of queues.

    `client` is a Client, a new one each time; `clock` moves the node's time. Threads may share it.
    """

    __test__ = False

    def __init__(self, portal: BlockingPortal, container: Container, way: Way) -> None:
        self._portal = portal
        self._container = container
        self._way = way
        self.clock = TestClock(portal, container)

    @property
    def client(self) -> Client:
        """A client, another each time: what the code under test closes, the test and those after it do not miss."""
        return Client.through(self._way)

    def let_fail(self, **rates: float) -> None:
        """Let faults befall the calls that come, each with its chance of 0 to 1: see FaultRates.

        `refused`, `lost_request`, `lost_response`, `duplicate_delivery`, `delayed_ack`; `seed` says which sequence, and
        without any rate nothing fails any more. Raises InvalidValue, and TypeError for a rate that does not exist.
        """
        self._portal.call(self._container.testing().let_fail, FaultRates(**rates))  # type: ignore[arg-type]  # seed

    def messages(self, queue: str) -> list[Message]:
        """All messages that are in the queue, in whatever state, in the order of their enqueue; leases none."""
        return self._portal.call(self._messages, queue)

    def assert_enqueued(self, queue: str, match: object = ANYTHING, *, count: int | None = None) -> Message:
        """The first message in the queue that matches; AssertionError, with what is there, where there is none.

        `match`: a dict matches JSON objects that have at least its items; a callable is asked with the body; all else
        must equal the body (the JSON value, the text, or the bytes). `count` None: at least one must match, else
        exactly so many.
        """
        __tracebackhide__ = True
        there = self.messages(queue)
        matching = [message for message in there if _matches(_body(message), match)]
        if (count is None and matching) or (matching and len(matching) == count):
            return matching[0]
        expected = "no message" if count is None else f"{len(matching)} messages, not {count},"
        listed = "\n".join(f"  {_body(message)!r}" for message in there[:SHOWN_MESSAGES_MAX]) or "  (it is empty)"
        more = f"\n  … and {len(there) - SHOWN_MESSAGES_MAX} more" if len(there) > SHOWN_MESSAGES_MAX else ""
        wanted = "" if match is ANYTHING else f" matching {match!r}"
        raise AssertionError(f"{expected}{wanted} in queue {queue!r}; there:\n{listed}{more}")

    def drain(self, queue: str) -> list[Received]:
        """Receive and ack all messages of the queue that can be received now; no fault befalls this."""
        return self._portal.call(self._drain, queue)

    def reset(self) -> None:
        """Be like new: no queue, no message, no fault, and the system's time."""
        self._portal.call(self._container.testing().reset)

    async def _messages(self, queue: str) -> list[Message]:
        found: list[Message] = []
        after: str | None = ""
        while after is not None:
            try:
                page = await self._container.inspection().peek(queue, None, after or None, None)
            except QueueNotFound:
                return []
            found += [message for _, message in page.messages]
            after = page.after
        return sorted(found, key=lambda message: message.id)

    async def _drain(self, queue: str) -> list[Received]:
        service: QueueService = self._container.service()
        drained: list[Received] = []
        with self._container.chances().paused():
            while deliveries := await service.claim(queue):
                await service.ack([delivery.receipt for delivery in deliveries])
                drained += deliveries
        return drained


@contextmanager
def testbed() -> Iterator[Testbed]:
    """A testbed for the time of the block, whose client calls the node without a server between them."""
    container = Container(settings=IN_MEMORY)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(working(container)) as use_cases:
        yield Testbed(portal, container, _Direct(portal, use_cases))


class _Direct:
    """Makes a client's calls on a node that somebody else opens and closes."""

    def __init__(self, portal: BlockingPortal, use_cases: UseCases) -> None:
        self._portal = portal
        self._use_cases = use_cases

    def open(self) -> None:
        """It is open."""

    def ask(self, call: Call[Any], /) -> Any:
        """The call's result."""
        return self._portal.call(call.directly, self._use_cases)

    def close(self) -> None:
        """It is not this client's to close."""


def _body(message: Message) -> Any:
    match message.body_kind:
        case BodyKind.JSON:
            return msgspec.json.decode(message.body)
        case BodyKind.TEXT:
            return message.body.decode()
        case BodyKind.BINARY:
            return message.body


def _matches(body: Any, match: object) -> bool:
    if match is ANYTHING:
        return True
    if isinstance(match, Mapping):
        held = body if isinstance(body, dict) else {}
        return all(key in held and _matches(held[key], value) for key, value in match.items()) and held is body
    return bool(match(body)) if callable(match) else bool(body == match)
