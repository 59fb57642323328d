"""Connections to a server, awaited or blocking: pooled, kept alive, bounded in number and time, on httpcore."""

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol, TypeVar
from urllib.parse import SplitResult, urlsplit

import httpcore
from msgspec import Struct

from sqslite.adapters.client.calls import Call, Session
from sqslite.adapters.client.requests import Outcome, Reply, Request
from sqslite.adapters.client.talking import Pause, Retrying
from sqslite.domain.errors import InvalidValue, OutcomeUnknown, Overloaded, SqsliteError, StoreUnavailable
from sqslite.domain.limits import SECOND_MS, check_range
from sqslite.domain.ports import Entropy

# A server closes a connection that is idle for KEEP_ALIVE_TIMEOUT, 75 s: it should not be the first to do so.
KEEP_ALIVE_S = 30
TIMEOUT_S_MIN = 0.001
TIMEOUT_S_MAX = 3_600.0
RETRIES_MAX = 100
CONNECTIONS_MAX = 10_000
URL_ALLOWED = "http://host:port or https://host:port, with a path before /v1 where there is one"
_HOST = re.compile(r"[^\s/?#@]+")

T = TypeVar("T")
P = TypeVar("P")


class Options(Struct, frozen=True, kw_only=True):
    """What a client may be told about its connections.

    `timeout_s`: how long an answer may take, beside the wait of a claim. `connect_timeout_s`: how long to connect.
    `retries`: how often a call is tried again; 0 means never. `connections_max`: how many at once, further calls wait
    `timeout_s` for one. `headers`: what every request has, such as those that a proxy asks for.
    """

    timeout_s: float = 10.0
    connect_timeout_s: float = 5.0
    retries: int = 3
    connections_max: int = 100
    headers: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        """Raise InvalidValue where a value is outside its limits."""
        check_range("timeout_s", self.timeout_s, TIMEOUT_S_MIN, TIMEOUT_S_MAX)
        check_range("connect_timeout_s", self.connect_timeout_s, TIMEOUT_S_MIN, TIMEOUT_S_MAX)
        check_range("retries", self.retries, 0, RETRIES_MAX)
        check_range("connections_max", self.connections_max, 1, CONNECTIONS_MAX)


class Address:
    """Where a server is, and how requests to it look. Raises InvalidValue for what is no URL of a server."""

    def __init__(self, url: str, options: Options) -> None:
        parts = _split(url)
        self._options = options
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._headers = {
            "user-agent": f"sqslite/{version('sqslite')}",
            "content-type": "application/json",
            **options.headers,
        }

    def __str__(self) -> str:
        return self._base

    def sent(self, request: Request) -> tuple[str, str, list[tuple[str, str]], bytes | None, dict[str, Any]]:
        """Method, URL, headers, content and extensions of the request, as httpcore takes them."""
        options = self._options
        timeouts = {
            "connect": options.connect_timeout_s,
            "pool": options.timeout_s,
            "write": options.timeout_s,
            "read": options.timeout_s + request.wait_ms / SECOND_MS,
        }
        headers = list(self._headers.items())
        return request.method, self._base + request.path, headers, request.body or None, {"timeout": timeouts}

    def explained(self, fault: Exception) -> SqsliteError:
        """What a failure of the connection comes to: nothing was done, or nobody knows."""
        what = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
        match fault:
            case httpcore.ConnectError() | httpcore.ConnectTimeout():
                return StoreUnavailable(f"cannot connect to {self}: {what}")
            case httpcore.PoolTimeout():
                return Overloaded(f"all {self._options.connections_max} connections to {self} are in use")
            case httpcore.LocalProtocolError():
                return InvalidValue("headers", what, "headers that HTTP knows")
            case _:
                return OutcomeUnknown(f"no answer from {self}: {what}")


FAILURES = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError)


def session(options: Options, entropy: Entropy) -> Session:
    """How talks over these connections are held."""
    return Session(Retrying(options.retries, entropy.jitter), lambda: entropy.secrets(1).hex())


class AsyncPool(Protocol):
    """What is used of httpcore's pool."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]],
        content: bytes | None,
        extensions: dict[str, Any],
    ) -> httpcore.Response:
        """Send a request and read its answer."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class AsyncConnections:
    """Talks with a server on the event loop."""

    def __init__(
        self,
        url: str,
        options: Options,
        entropy: Entropy,
        pool: AsyncPool | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._address = Address(url, options)
        self._session = session(options, entropy)
        self._sleep = sleep
        self._options = options
        self._pool_of_one = _async_pool_of_one if pool is None else lambda: pool
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Nothing to wait for: connections are made when they are needed."""

    async def ask(self, call: Call[T], /) -> T:
        """The call's result."""
        talk = call.talk(self._session)
        outcome: Outcome | None = None
        while True:
            try:
                step = talk.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                await self._sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def close(self) -> None:
        """Let go of every connection."""
        if self._loop is asyncio.get_running_loop():
            for pool in self._pools:
                await pool.aclose()

    async def _send(self, request: Request) -> Outcome:
        self._settle_in()
        method, url, headers, content, extensions = self._address.sent(request)
        try:
            async with self._connection() as pool:
                response = await pool.request(method, url, headers=headers, content=content, extensions=extensions)
        except FAILURES as fault:
            return self._address.explained(fault)
        return _reply(response)

    def _settle_in(self) -> None:
        """Have connections for this event loop. Raises RuntimeError where they are in use in another one."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("the client belongs to another event loop, which is not over: create one in each")
        # The connections of a loop that is over are of no use, and cannot be closed any more.
        self._loop = loop
        self._places = asyncio.Semaphore(self._options.connections_max)
        self._pools: list[AsyncPool] = []
        self._idle: list[AsyncPool] = []

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncPool]:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise httpcore.PoolTimeout from None
        try:
            with _taken(self._idle, self._pools, self._pool_of_one) as pool:
                yield pool
        finally:
            self._places.release()


class Connections:
    """Talks with a server while the thread waits; may be shared by threads."""

    def __init__(
        self,
        url: str,
        options: Options,
        entropy: Entropy,
        pool: httpcore.ConnectionPool | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = Address(url, options)
        self._session = session(options, entropy)
        self._sleep = sleep
        self._timeout_s = options.timeout_s
        self._pool_of_one = _pool_of_one if pool is None else lambda: pool
        self._places = threading.Semaphore(options.connections_max)
        self._pools: list[httpcore.ConnectionPool] = []
        self._idle: list[httpcore.ConnectionPool] = []

    def open(self) -> None:
        """Nothing to wait for: connections are made when they are needed."""

    def ask(self, call: Call[T], /) -> T:
        """The call's result."""
        talk = call.talk(self._session)
        outcome: Outcome | None = None
        while True:
            try:
                step = talk.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                self._sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def close(self) -> None:
        """Let go of every connection."""
        for pool in self._pools:
            pool.close()

    def _send(self, request: Request) -> Outcome:
        method, url, headers, content, extensions = self._address.sent(request)
        try:
            with self._connection() as pool:
                response = pool.request(method, url, headers=headers, content=content, extensions=extensions)
        except FAILURES as fault:
            return self._address.explained(fault)
        return _reply(response)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[httpcore.ConnectionPool]:
        if not self._places.acquire(timeout=self._timeout_s):
            raise httpcore.PoolTimeout
        try:
            with _taken(self._idle, self._pools, self._pool_of_one) as pool:
                yield pool
        finally:
            self._places.release()


# Whenever a request begins or ends, a pool of httpcore goes through all of its connections, and through all again for
# each that is idle: with 100 that takes 25 ms. So each connection has a pool of its own, which makes and renews it.
def _async_pool_of_one() -> AsyncPool:
    return httpcore.AsyncConnectionPool(max_connections=1, keepalive_expiry=KEEP_ALIVE_S)


def _pool_of_one() -> httpcore.ConnectionPool:
    return httpcore.ConnectionPool(max_connections=1, keepalive_expiry=KEEP_ALIVE_S)


@contextlib.contextmanager
def _taken(idle: list[P], pools: list[P], pool_of_one: Callable[[], P]) -> Iterator[P]:
    """The pool that was used last, whose connection is most likely still there; a new one where all are in use."""
    try:
        # Another thread may take the last one between a look and a pop.
        pool = idle.pop()
    except IndexError:
        pools.append(pool := pool_of_one())
    try:
        yield pool
    finally:
        idle.append(pool)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.hostname or "") and parts.port != 0
    except ValueError:
        fine = None
    if not fine or parts.query or parts.fragment or parts.username is not None:
        # What stands before an @ may be a password.
        raise InvalidValue("url", url.rpartition("@")[2], URL_ALLOWED)
    return parts


def _reply(response: httpcore.Response) -> Reply:
    asked = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
    return Reply(response.status, response.content, int(asked) if asked.isdigit() else None)
