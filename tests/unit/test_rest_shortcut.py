"""The short way past the framework: what goes it, and that it leads to the same answers."""

import json

import pytest

from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.entrypoints.http.app import DIRECT
from sqslite.entrypoints.http.shortcut import Shortcut
from tests.unit.rest import REQUEST_BYTES_MAX, Rest, rest

RECEIPT = "AQAAAAAAAAABAAAAAAAAAAEAAAABzQcs2L5vn2KsTAnCggbn4w"
PATHS = [direct.call.path.replace("{queue}", "orders").replace("{id}", "1") for direct in DIRECT]
BODIES = [
    b"",
    b"{}",
    b"{",
    b"null",
    b"\xff",
    b'{"body":1}',
    b'{"body":1,"unknown":1}',
    b'{"body":1,"delay":-1}',
    b'{"body":1,"dlq":"orders"}',
    b'{"max":0}',
    b'{"max":5}',
    b'{"receipt":"x"}',
    f'{{"receipt":"{RECEIPT}"}}'.encode(),
    f'{{"receipt":"{RECEIPT}","visibility_ms":1}}'.encode(),
    b'{"messages":[{"body":1},{"body":null},7]}',
    b'{"acks":[{"id":1},{"id":0},{}]}',
    f'{{"nacks":[{{"receipt":"{RECEIPT}"}}]}}'.encode(),
    f'{{"extends":[{{"receipt":"{RECEIPT}","visibility_ms":0}}]}}'.encode(),
    b" " * (REQUEST_BYTES_MAX + 1),
]
PASSED_ON = [
    ("GET", "/healthz"),
    ("GET", "/v1/queues/orders/messages"),
    ("PUT", "/v1/queues/orders/messages"),
    ("OPTIONS", "/v1/messages/1:ack"),
    ("POST", "/v1/queues/orders/messages/"),
    ("POST", "/v1/queues//messages"),
    ("POST", "/v1/queues/orders/:receive"),
    ("POST", "/v1/queues/a:b:receive"),
    ("POST", "/v1/queues/a/b:receive"),
    ("POST", "/v1/queues/%C3%BC:receive"),
    ("POST", "/v1/queues/orders:receive\n"),
    ("POST", "/v1/messages/1:ack:ack"),
    ("POST", "/v1/messages/1:burn"),
    ("POST", "/v1/queues/orders:purge"),
]


class DefectiveStore(InterceptedStore):
    async def intercept(self, method, call):
        raise RuntimeError("secret detail")


async def answered(api: Rest, app, method: str, path: str, body: bytes = b"") -> tuple[int, list, bytes]:
    events = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict] = []

    async def receive() -> dict:
        return events.pop() if events else {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
             "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [],
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {}}  # fmt: skip
    await app(scope, receive, send)
    headers = sorted(header for header in sent[0]["headers"] if header[0] != b"x-request-id")
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def shortcut(api: Rest) -> Shortcut:
    assert isinstance(api.app, Shortcut)
    return api.app


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", PATHS)
async def test_both_ways_lead_to_the_same_answer(path: str, body: bytes):
    answers = []
    for way in (lambda short: short, lambda short: short._otherwise):
        async with rest() as api:
            await api.enqueue()
            answers.append(await answered(api, way(shortcut(api)), "POST", path, body))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("broken", [lambda store: FaultyStore(store, iter([Fault.REFUSED])), DefectiveStore])
@pytest.mark.parametrize("path", PATHS[:2])
async def test_both_ways_tell_of_trouble_alike(path: str, broken):
    answers = []
    for way in (lambda short: short, lambda short: short._otherwise):
        async with rest(broken) as api:
            await api.client.put("/v1/queues/orders")
            answers.append(
                await answered(api, way(shortcut(api)), "POST", path, b"" if "receive" in path else b'{"body":1}')
            )
    assert answers[0] == answers[1]
    assert answers[0][0] >= 500
    assert "secret" not in json.loads(answers[0][2])["error"]


async def _unreachable(scope, receive, send):
    raise AssertionError(f"{scope['path']} was passed on")


@pytest.mark.parametrize("path", PATHS)
async def test_a_plain_call_goes_the_short_way(path: str):
    async with rest() as api:
        shortcut(api)._otherwise = _unreachable
        status, _, _ = await answered(api, api.app, "POST", path)
        assert status in (200, 400, 404)


@pytest.mark.parametrize(("method", "path"), PASSED_ON)
async def test_all_else_is_left_to_the_framework(method: str, path: str):
    async with rest() as api:
        shortcut(api)._otherwise = _unreachable
        with pytest.raises(AssertionError, match="was passed on"):
            await answered(api, api.app, method, path)
