"""A regression guard that no busy machine disturbs: Python functions entered for each message over REST, on memory."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType
from typing import Any

import msgspec
import pytest
from litestar.types import ASGIApp

from sqslite.entrypoints.container import Container
from sqslite.entrypoints.http.app import create_rest_app
from sqslite.entrypoints.http.routes import Ports
from sqslite.entrypoints.settings import DatabaseUrl, Settings
from tests.costs import PYTHON_CALLS

MESSAGE = b'{"body":{"task":"process-order","order":{"id":1234567,"amount":"1.50","items":[1,2,3]}}}'
REQUEST_BYTES_MAX = 1_000_000
ROUNDS = 3
AT_ONCE = 64
BATCH = 100
Caller = Callable[[str, bytes], Any]


class Entered:
    """Counts the Python functions entered, generators and coroutines gone on with included."""

    def __init__(self) -> None:
        self.count = 0

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        # The event loop's own depend on how the loop is woken, and another loop runs in production.
        if event == "call" and "/asyncio/" not in frame.f_code.co_filename and frame.f_globals["__name__"] != __name__:
            self.count += 1


@pytest.fixture
async def call() -> AsyncIterator[Caller]:
    """The application as it is in production, on memory; without the tasks in its background."""
    container = Container(settings=Settings(database_url=DatabaseUrl("memory://")))
    backend = container.backend()
    await backend.open()
    ports = Ports(
        service=container.service(),
        administration=container.administration(),
        inspection=container.inspection(),
        redriving=container.redriving(),
        exposition=container.exposition(),
        ping=backend.ping,
        request_bytes_max=REQUEST_BYTES_MAX,
    )
    app = create_rest_app(ports, contextlib.nullcontext, container.metrics().http_answered)
    yield lambda path, body: answered(app, path, body)
    await backend.close()


async def answered(app: ASGIApp, path: str, body: bytes) -> Any:
    """What the application answers to a POST, as a server of ASGI hands it over."""
    sent: list[dict[str, Any]] = []
    requests = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if requests:
            return requests.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
    await app(scope, receive, send)  # type: ignore[arg-type]
    text = b"".join(message.get("body", b"") for message in sent[1:])
    assert sent[0]["status"] < 300, text
    return msgspec.json.decode(text)


async def life(call: Caller) -> int:
    """Enqueue, receive, ack one message; how many that were."""
    await call("/v1/queues/costs/messages", MESSAGE)
    (message,) = await call("/v1/queues/costs:receive", b'{"max":1}')
    await call(f"/v1/messages/{message['id']}:ack", b'{"receipt":"%b"}' % message["receipt"].encode())
    return 1


async def lives_at_once(call: Caller) -> int:
    return sum(await asyncio.gather(*[life(call) for _ in range(AT_ONCE)]))


async def batch(call: Caller) -> int:
    await call("/v1/queues/costs/messages:batch", b'{"messages":[%b]}' % b",".join([MESSAGE] * BATCH))
    messages = await call("/v1/queues/costs:receive", b'{"max":%d}' % BATCH)
    acks = [{"receipt": message["receipt"]} for message in messages]
    await call("/v1/messages:ack", msgspec.json.encode({"acks": acks}))
    return len(messages)


@pytest.mark.parametrize(
    ("name", "work"),
    [("one after the other", life), ("64 at once", lives_at_once), ("batches of 100", batch)],
    ids=["alone", "at_once", "batches"],
)
async def test_python_calls_per_message(call: Caller, name: str, work: Callable[[Caller], Any]) -> None:
    # The first time round, things are looked up that are remembered then.
    await work(call)
    entered = Entered()
    with entered.counting():
        messages = sum([await work(call) for _ in range(ROUNDS)])
    per_message = entered.count / messages
    ceiling = PYTHON_CALLS[name]
    assert per_message <= ceiling, f"{name}: {per_message:.1f} calls a message; the ceiling is {ceiling}"
    assert per_message >= ceiling * 0.6, f"{name}: {per_message:.1f} calls a message: lower the ceiling of {ceiling}"
