"""What a message costs on its way through the server, in function calls: a count that no busy machine changes."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import FrameType

import prometheus_client
import structlog
from litestar.types import ASGIApp

import sqslite
from sqslite.adapters.stores.coalescing import CoalescingStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from tests.unit.rest import rest

# A little above what docs/performance.md says. Where it is exceeded, see there what a call costs, and whether it pays.
PYTHON_CALLS_MAX = 238
PYTHON_CALLS_IN_BATCH_MAX = 68
CYCLES = 20
BATCH = 100
HEADERS = ((b"host", b"h"),)
# The event loop is not among them: the server has one that is not written in Python.
COUNTED = tuple(str(Path(module.__file__).parent) for module in (sqslite, prometheus_client, structlog))


async def asked(app: ASGIApp, path: str, body: bytes, headers: Sequence[tuple[bytes, bytes]] = HEADERS) -> bytes:
    """Speaks ASGI itself, for a client would make more calls than the server."""
    sent: list[dict] = []
    events = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict:
        return events.pop() if events else await asyncio.Future()

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [*headers]}
    await app(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] in (200, 201), sent
    return sent[1]["body"]


async def _cycle(app: ASGIApp) -> None:
    message_id = json.loads(await asked(app, "/v1/queues/orders/messages", b'{"body":{"n":1}}'))["id"]
    (received,) = json.loads(await asked(app, "/v1/queues/orders:receive", b'{"max":1}'))
    receipt = received["receipt"].encode()
    await asked(app, f"/v1/messages/{message_id}:ack", b'{"receipt":"%s"}' % receipt)


async def _batch(app: ASGIApp) -> None:
    messages = b",".join([b'{"body":{"n":1}}'] * BATCH)
    await asked(app, "/v1/queues/orders/messages:batch", b'{"messages":[%s]}' % messages)
    received = json.loads(await asked(app, "/v1/queues/orders:receive", b'{"max":%d}' % BATCH))
    acks = json.dumps({"acks": [{"receipt": message["receipt"]} for message in received]})
    done = json.loads(await asked(app, "/v1/messages:ack", acks.encode()))
    assert done["results"] == [{"ok": True}] * BATCH


async def counted(work: Callable[[], Awaitable[None]]) -> Counter[str]:
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(COUNTED):
            calls[frame.f_code.co_qualname] += 1

    sys.setprofile(note)
    try:
        await work()
    finally:
        sys.setprofile(None)
    return calls


async def _calls_of(cycle: Callable[[ASGIApp], Awaitable[None]], times: int) -> Counter[str]:
    async with rest(CoalescingStore) as api:
        # As at LOG_LEVEL=info.
        api.app._requests._logs = False  # type: ignore[attr-defined]
        await cycle(api.app)

        async def cycles() -> None:
            for _ in range(times):
                await cycle(api.app)

        return await counted(cycles)


async def test_a_message_makes_no_more_function_calls_than_it_did():
    calls = await _calls_of(_cycle, CYCLES)
    assert calls.total() / CYCLES <= PYTHON_CALLS_MAX, calls.most_common(40)


async def test_nor_does_a_message_in_a_batch():
    calls = await _calls_of(_batch, 1)
    assert calls.total() / BATCH <= PYTHON_CALLS_IN_BATCH_MAX, calls.most_common(40)


async def test_a_message_makes_three_calls_of_the_store():
    calls: list[str] = []

    class NotedStore(InterceptedStore):
        async def intercept(self, method, call):
            calls.append(method)
            return await call()

    async with rest(lambda store: CoalescingStore(NotedStore(store))) as api:
        await _cycle(api.app)
    assert calls == ["enqueue", "claim", "ack"]
