"""A call that a client makes: either talked over with a server, or made on the domain in this process."""

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote, urlencode

from msgspec import Struct

from sqslite.adapters.client.requests import Effect, Reply, Request
from sqslite.adapters.client.talking import Retrying, Talk, ask
from sqslite.domain.limits import check_queue_name
from sqslite.domain.use_cases import Administration, Inspection, Messaging, RedriveTasks

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class UseCases(Struct, frozen=True):
    """All that sqslite does, in this process."""

    messaging: Messaging
    administration: Administration
    inspection: Inspection
    redriving: RedriveTasks


class Session(Struct, frozen=True):
    """What talks need: how often to try, and ids that nobody else has."""

    retrying: Retrying
    new_id: Callable[[], str]


class Call(Struct, Generic[T], frozen=True):
    """One call, made the one way or the other."""

    talk: Callable[[Session], Talk[T]]
    directly: Callable[[UseCases], Awaitable[T]]


class Ask(Protocol):
    """Makes calls, by whichever way, and waits for them on the event loop."""

    async def __call__(self, call: Call[T], /) -> T:
        """The call's result."""
        ...


class AskAndBlock(Protocol):
    """Makes calls, by whichever way, while the thread waits."""

    def __call__(self, call: Call[T], /) -> T:
        """The call's result."""
        ...


def queue_path(queue: str, rest: str = "") -> str:
    """The path of a queue. Raises InvalidValue: what is no name would lead somewhere else."""
    return f"/v1/queues/{quote(check_queue_name('queue', queue), safe='')}{rest}"


def with_query(path: str, **parameters: object) -> str:
    """The path with those parameters that are given (not None and not empty)."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def asked(request: Callable[[], Request], read: Callable[[Reply], T]) -> Callable[[Session], Talk[T]]:
    """The talk of a call that is one request and its answer."""

    def talk(session: Session) -> Talk[T]:
        reply = yield from ask(request(), session.retrying)
        return read(reply)

    return talk


def looked(path: Callable[[], str], read: Callable[[Reply], T]) -> Callable[[Session], Talk[T]]:
    """The talk of a call that only looks."""
    return asked(lambda: Request(method="GET", path=path(), effect=Effect.NONE), read)
