"""The clients that programs use: over HTTP with a server, or on a store in their own process."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self, TypedDict, TypeVar, Unpack

import msgspec

from sqslite.adapters.client import asynchronous, blocking
from sqslite.adapters.client.calls import Call
from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.leases import Nack, Wish
from sqslite.domain.messages import Accepted, BodyKind, NewMessage, Received
from sqslite.domain.ports import Extension

if TYPE_CHECKING:
    from sqslite.adapters.client.connections import Options
    from sqslite.entrypoints.settings import Settings

URL_ALLOWED = (
    "http://host:port or https://host:port of a server; or, for a store in this process, "
    "memory://, sqlite:///relative.db, sqlite:////absolute.db or postgresql://user:password@host:port/database"
)

T = TypeVar("T")
R = TypeVar("R")


class Fields(TypedDict, total=False):
    """What a message may have beside its body; what is missing or None is left to the queue, then to the service.

    `delay_ms`: milliseconds before it can be received. `max_retries`: deliveries before dead-lettering.
    `dlq`: its dead-letter queue. `group_id`: the group whose order a FIFO queue keeps. `dedup_id`: a second message
    with it is not kept. `retention_ms`: milliseconds that it is kept. `attributes`: named texts.
    """

    body_kind: BodyKind
    delay_ms: int | None
    max_retries: int
    dlq: str | None
    trace_id: str | None
    group_id: str | None
    dedup_id: str | None
    retention_ms: int | None
    attributes: dict[str, str]


class Connected(TypedDict, total=False):
    """How to speak with a server; a store in the process knows none of it. `Options` says what each means."""

    timeout_s: float
    connect_timeout_s: float
    retries: int
    connections_max: int
    headers: Mapping[str, str]


class AsyncWay(Protocol):
    """How calls are made and awaited."""

    async def open(self) -> None:
        """Make ready; a call that comes before does so itself."""
        ...

    async def ask(self, call: Call[T], /) -> T:
        """The call's result."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class Way(Protocol):
    """How calls are made while the thread waits."""

    def open(self) -> None:
        """Make ready; a call that comes before does so itself."""
        ...

    def ask(self, call: Call[T], /) -> T:
        """The call's result."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class AsyncClient(asynchronous.AsyncMessaging):
    """sqslite, for programs with an event loop: all of Messaging, and `administration`, `inspection`, `redriving`.

    `url` is that of a server (`http://localhost:8080`), or `memory://`, `sqlite:///file.db` or `postgresql://…` for a
    store in this process, which needs no server. Use it as an async context manager, or close it.
    Raises InvalidValue for another URL.
    """

    def __init__(self, url: str, **connected: Unpack[Connected]) -> None:
        self._go(_async_way(url, connected))

    @classmethod
    def through(cls, way: AsyncWay) -> Self:
        """A client that makes its calls that way: one for tests, say, that loses some of them."""
        client = cls.__new__(cls)
        client._go(way)
        return client

    def _go(self, way: AsyncWay) -> None:
        super().__init__(self._make)
        self._way = way
        self._closed = False
        self.administration = asynchronous.AsyncAdministration(self._make)
        self.inspection = asynchronous.AsyncInspection(self._make)
        self.redriving = asynchronous.AsyncRedriveTasks(self._make)

    async def _make(self, call: Call[T], /) -> T:
        _check_open(self._closed)
        return await self._way.ask(call)

    async def __aenter__(self) -> Self:
        _check_open(self._closed)
        await self._way.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of connections, or of the store in this process, for good: a later call raises RuntimeError."""
        self._closed = True
        await self._way.close()

    async def send(self, queue: str, body: object, **fields: Unpack[Fields]) -> Accepted:
        """Enqueue one message. Raises what enqueue would answer.

        `body`: bytes go as binary, a str as text, everything else as JSON (whatever msgspec encodes: dicts, lists,
        dataclasses, Structs, datetimes).
        """
        (result,) = await self.enqueue(queue, [new_message(body, **fields)])
        return _granted(result)

    async def receive(
        self, queue: str, limit: int | None = None, *, visibility_ms: int | None = None, wait_ms: int | None = None
    ) -> list[Received]:
        """As claim: up to `limit` messages, leased; each has `body`, `json()`, `message` and `receipt`."""
        return list(await self.claim(queue, limit, visibility_ms, wait_ms))

    async def finish(self, delivery: Received) -> None:
        """Ack one message: its work is done. Raises MessageNotFound or StaleReceipt where it was lost meanwhile."""
        (refusal,) = await self.ack([delivery.receipt])
        _granted(refusal)

    async def fail(self, delivery: Received, error: str | None = None, *, delay_ms: int | None = None) -> None:
        """Nack one message, for a retry or its DLQ. Raises MessageNotFound or StaleReceipt where it was lost."""
        (refusal,) = await self.nack([Nack(delivery.receipt, Wish(delay_ms=delay_ms, error=error))])
        _granted(refusal)

    async def hold(self, delivery: Received, visibility_ms: int) -> datetime:
        """Extend one lease to `visibility_ms` from now; when it ends. Raises MessageNotFound or StaleReceipt."""
        (result,) = await self.extend([Extension(delivery.receipt, visibility_ms)])
        return _granted(result)


class Client(blocking.BlockingMessaging):
    """sqslite, for threads that wait: what AsyncClient is, without await. Threads may share it."""

    def __init__(self, url: str, **connected: Unpack[Connected]) -> None:
        self._go(_way(url, connected))

    @classmethod
    def through(cls, way: Way) -> Self:
        """A client that makes its calls that way: one for tests, say, that loses some of them."""
        client = cls.__new__(cls)
        client._go(way)
        return client

    def _go(self, way: Way) -> None:
        super().__init__(self._make)
        self._way = way
        self._closed = False
        self.administration = blocking.BlockingAdministration(self._make)
        self.inspection = blocking.BlockingInspection(self._make)
        self.redriving = blocking.BlockingRedriveTasks(self._make)

    def _make(self, call: Call[T], /) -> T:
        _check_open(self._closed)
        return self._way.ask(call)

    def __enter__(self) -> Self:
        _check_open(self._closed)
        self._way.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections, or of the store in this process, for good: a later call raises RuntimeError."""
        self._closed = True
        self._way.close()

    def send(self, queue: str, body: object, **fields: Unpack[Fields]) -> Accepted:
        """Enqueue one message. Raises what enqueue would answer.

        `body`: bytes go as binary, a str as text, everything else as JSON (whatever msgspec encodes: dicts, lists,
        dataclasses, Structs, datetimes).
        """
        (result,) = self.enqueue(queue, [new_message(body, **fields)])
        return _granted(result)

    def receive(
        self, queue: str, limit: int | None = None, *, visibility_ms: int | None = None, wait_ms: int | None = None
    ) -> list[Received]:
        """As claim: up to `limit` messages, leased; each has `body`, `json()`, `message` and `receipt`."""
        return list(self.claim(queue, limit, visibility_ms, wait_ms))

    def finish(self, delivery: Received) -> None:
        """Ack one message: its work is done. Raises MessageNotFound or StaleReceipt where it was lost meanwhile."""
        (refusal,) = self.ack([delivery.receipt])
        _granted(refusal)

    def fail(self, delivery: Received, error: str | None = None, *, delay_ms: int | None = None) -> None:
        """Nack one message, for a retry or its DLQ. Raises MessageNotFound or StaleReceipt where it was lost."""
        (refusal,) = self.nack([Nack(delivery.receipt, Wish(delay_ms=delay_ms, error=error))])
        _granted(refusal)

    def hold(self, delivery: Received, visibility_ms: int) -> datetime:
        """Extend one lease to `visibility_ms` from now; when it ends. Raises MessageNotFound or StaleReceipt."""
        (result,) = self.extend([Extension(delivery.receipt, visibility_ms)])
        return _granted(result)


def new_message(body: object, **fields: Unpack[Fields]) -> NewMessage:
    """The message with that body, of the kind that its type has; a body_kind that is given goes before."""
    match body:
        case bytes():
            kind, raw = BodyKind.BINARY, body
        case str():
            kind, raw = BodyKind.TEXT, body.encode()
        case _:
            kind, raw = BodyKind.JSON, msgspec.json.encode(body)
    return NewMessage(body=raw, **{"body_kind": kind, **fields})  # type: ignore[arg-type]  # the types of Fields


def _async_way(url: str, connected: Connected) -> AsyncWay:
    # Each way is imported when it is taken: programs that take the other need not wait for it to load.
    if _is_server(url):
        from sqslite.adapters.client.connections import AsyncConnections
        from sqslite.adapters.entropy import SystemEntropy

        return AsyncConnections(url, _options(connected), SystemEntropy())
    settings = _settings(url)
    from sqslite.entrypoints.in_process import AsyncNode

    return AsyncNode(settings)


def _way(url: str, connected: Connected) -> Way:
    if _is_server(url):
        from sqslite.adapters.client.connections import Connections
        from sqslite.adapters.entropy import SystemEntropy

        return Connections(url, _options(connected), SystemEntropy())
    settings = _settings(url)
    from sqslite.entrypoints.in_process import Node

    return Node(settings)


def _is_server(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _settings(url: str) -> "Settings":
    from sqslite.entrypoints.settings import DatabaseUrl, Settings, SettingsError, database_url

    try:
        return Settings(database_url=database_url("url", url))
    except SettingsError:
        # As a database's URL it shows no password.
        raise InvalidValue("url", str(DatabaseUrl(url)), URL_ALLOWED) from None


def _options(connected: Connected) -> "Options":
    from sqslite.adapters.client.connections import Options

    return Options(**connected)


def _check_open(closed: bool) -> None:
    # No SqsliteError, which a program may catch and try again: this is a mistake in the program.
    if closed:
        raise RuntimeError("the client is closed")


def _granted(result: R | SqsliteError) -> R:
    if isinstance(result, SqsliteError):
        raise result
    return result
