"""What surrounds every call: statuses, headers, request ids, the log's context, what the metrics are told."""

import asyncio
import gzip
import json
import re
from itertools import repeat

import pytest
from structlog.contextvars import get_contextvars

from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.errors import ErrorCode, Overloaded, SqsliteError, StoreUnavailable
from sqslite.entrypoints.http import reading
from sqslite.entrypoints.http.errors import STATUS
from sqslite.wire.codes import RequestErrorCode
from tests.unit.rest import REQUEST_BYTES_MAX, Rest, rest

MESSAGES = "/v1/queues/orders/messages"
RECEIVE = "/v1/queues/orders:receive"
CALLS = [
    RECEIVE,
    "/v1/queues/orders:purge",
    "/v1/queues/orders:redrive",
    "/v1/messages/1:ack",
    "/v1/messages/1:nack",
    "/v1/messages/1:extend",
]
SHOWN = ["/healthz", "/readyz", "/metrics", "/schema", "/schema/openapi.json"]
GENERATED_ID = re.compile(r"[0-9a-f]{12}-[0-9]+")


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


async def call_asgi(api: Rest, path: str, *events: dict, headers: tuple = ()) -> tuple[int, dict, bytes]:
    """Speak ASGI itself, for what no well-behaved client sends; the last event is followed by silence."""
    coming = list(events)
    sent: list[dict] = []

    async def receive() -> dict:
        return coming.pop(0) if coming else await asyncio.Future()

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
             "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": list(headers),
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {}}  # fmt: skip
    await api.app(scope, receive, send)
    answered_headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered_headers, b"".join(message.get("body", b"") for message in sent[1:])


def part(body: bytes, *, more: bool) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


# Statuses


def test_every_code_of_domain_and_transport_has_a_status():
    assert set(STATUS) == {*ErrorCode, *RequestErrorCode}
    assert len({code.value for code in STATUS}) == len(STATUS)
    assert all(400 <= status < 500 or status == 503 for code, status in STATUS.items() if code != "internal")


def test_every_refusal_of_the_domain_has_a_code_of_its_own():
    def below(kind: type[SqsliteError]) -> set[type[SqsliteError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    codes = {kind.code for kind in below(SqsliteError) - {SqsliteError}}
    assert codes == set(ErrorCode)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.REFUSED, "store_unavailable"),
        (Fault.UNKNOWN_UNDONE, "outcome_unknown"),
        (Fault.UNKNOWN_DONE, "outcome_unknown"),
    ],
)
async def test_a_store_in_trouble_is_a_503_that_says_when_to_try_again(fault, code):
    async with rest(lambda store: FaultyStore(store, repeat(fault))) as api:
        answer = await api.post(MESSAGES, b'{"body":1}')
        assert (answer.status_code, answer.json()["code"]) == (503, code)
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["error"]


async def test_an_overloaded_store_is_a_503_that_says_when_to_try_again():
    class OverloadedStore(InterceptedStore):
        async def intercept(self, method, call):
            raise Overloaded(f"too many calls wait for {method}")

    async with rest(OverloadedStore) as api:
        answer = await api.post("/v1/messages/1:ack", b"{}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {"error": "too many calls wait for ack_unproven", "code": "overloaded"}


async def test_readiness_follows_the_store_and_health_does_not():
    async def away() -> None:
        raise StoreUnavailable("no answer")

    async with rest(ping=away) as api:
        ready = await api.client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"error": "no answer", "code": "store_unavailable"})
        assert ready.headers["retry-after"] == "1"
        assert (await api.client.get("/healthz")).status_code == 200


async def test_a_defect_is_a_500_that_gives_nothing_away():
    async def defective() -> None:
        raise RuntimeError("secret detail")

    async with rest(ping=defective) as api:
        answer = await api.client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "secret" not in answer.text


async def test_health_and_readiness_are_plain_text(api):
    for path, text in (("/healthz", "ok"), ("/readyz", "ready")):
        answer = await api.client.get(path)
        assert (answer.status_code, answer.text) == (200, text)
        assert answer.headers["content-type"].startswith("text/plain")


# Paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/queues/orders/messages/1",
        "/v1/queues/orders:burn",
        "/v2/x",
        "/v1/queues/orders/:receive",
        "/v1/queues/a/b:receive",
        "/v1/messages/1/2",
        "/v1/messages/1:/ack",
        "/v1/messages/1:ACK",
        "/v1/messages/1/:ack",
        "/v1/queues/orders:receive:receive/x",
        "/HEALTHZ",
        "/%2e%2e",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_where_there_is_nothing_the_answer_is_a_404_in_json(api, path, method):
    answer = await api.client.request(method, path)
    shown = path.replace("%2e", ".")
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": f"there is nothing at {shown}", "code": "not_found"},
    )
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
async def test_a_call_takes_post_alone(api, path, method):
    answer = await api.client.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"POST", "OPTIONS"}
    assert answer.headers["content-type"] == "application/json"
    if method != "HEAD":
        assert answer.json() == {"error": f"{method} is not allowed at {path}", "code": "method_not_allowed"}


@pytest.mark.parametrize("path", SHOWN)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_what_is_shown_cannot_be_changed(api, path, method):
    answer = await api.client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("path", SHOWN)
async def test_head_answers_as_get_does(api, path):
    got, headed = await api.client.get(path), await api.client.head(path)
    assert (headed.status_code, headed.headers["content-type"]) == (200, got.headers["content-type"])


@pytest.mark.parametrize("path", CALLS + SHOWN)
async def test_options_lists_what_is_allowed(api, path):
    answer = await api.client.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "OPTIONS" in answer.headers["allow"]
    assert ("POST" if path in CALLS else "GET") in answer.headers["allow"]


# Reading a request


async def test_a_request_may_be_as_large_as_the_limit_and_no_larger(api):
    text = b'{"body":"x"}'
    fits = text + b" " * (REQUEST_BYTES_MAX - len(text))
    assert (await api.post(MESSAGES, fits)).status_code == 201
    answer = await api.post(MESSAGES, fits + b" ")
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")
    assert answer.json()["error"] == f"the request body must have at most {REQUEST_BYTES_MAX} bytes"


@pytest.mark.parametrize("path", [RECEIVE, "/v1/messages/1:ack", "/v1/messages/1:nack", "/v1/messages/1:extend"])
async def test_a_call_without_a_message_takes_no_large_request(api, path):
    answer = await api.post(path, b" " * (64 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


async def test_a_body_in_pieces_is_put_together(api):
    pieces = [part(bytes([byte]), more=True) for byte in b'{"body":"in pieces"}']
    status, _, _ = await call_asgi(api, MESSAGES, *pieces, part(b"", more=False))
    assert status == 201
    assert (await api.receive())[0]["body"] == "in pieces"


async def test_a_body_that_does_not_arrive_in_time_is_refused(api, monkeypatch):
    monkeypatch.setattr(reading, "BODY_READ_S_MAX", 0.01)
    status, _, body = await call_asgi(api, MESSAGES, part(b'{"body":', more=True))
    assert (status, json.loads(body)["code"]) == (408, "request_timeout")
    assert await api.receive() == []


@pytest.mark.parametrize("body_read_s_max", [0.01, 60])
async def test_who_is_cancelled_while_a_body_comes_stays_cancelled(api, monkeypatch, body_read_s_max):
    monkeypatch.setattr(reading, "BODY_READ_S_MAX", body_read_s_max)
    call = asyncio.ensure_future(call_asgi(api, MESSAGES, part(b'{"body":', more=True)))
    await asyncio.sleep(0)
    # With the short one the time is over and the caller goes away in the same turn.
    asyncio.get_running_loop().call_later(0.01, call.cancel)
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_body_that_is_too_large_is_refused_for_that_even_when_it_never_ends(api, monkeypatch):
    monkeypatch.setattr(reading, "BODY_READ_S_MAX", 0.01)
    status, _, body = await call_asgi(api, MESSAGES, part(b" " * (REQUEST_BYTES_MAX + 1), more=True))
    assert (status, json.loads(body)["code"]) == (413, "request_too_large")


async def test_a_body_that_is_too_large_is_read_to_its_end(api):
    events = [part(b" " * REQUEST_BYTES_MAX, more=True)] * 100 + [part(b"", more=False), part(b"next", more=False)]
    status, _, _ = await call_asgi(api, MESSAGES, *events)
    assert status == 413


async def test_who_asks_before_sending_too_much_is_told_at_once(api):
    declared = ((b"expect", b"100-continue"), (b"content-length", str(REQUEST_BYTES_MAX + 1).encode()))
    status, _, body = await asyncio.wait_for(call_asgi(api, MESSAGES, headers=declared), 1)
    assert (status, json.loads(body)["code"]) == (413, "request_too_large")


async def test_a_sender_that_goes_away_enqueues_nothing(api):
    status, _, body = await call_asgi(api, MESSAGES, part(b'{"body":1}', more=True), {"type": "http.disconnect"})
    assert (status, json.loads(body)["code"]) == (400, "bad_request")
    assert await api.receive() == []


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "identity, gzip", "x", "gzip\xff"])
async def test_a_compressed_body_is_refused_as_such(api, encoding):
    headers = {"content-encoding": encoding.encode("latin-1")}
    answer = await api.client.post(MESSAGES, content=gzip.compress(b'{"body":1}'), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")
    assert answer.json()["error"].startswith("the request body must come without a content-encoding; got ")


async def test_identity_is_no_compression(api):
    assert (await api.post(MESSAGES, b'{"body":1}', **{"content-encoding": "Identity"})).status_code == 201


# Request ids and traces


@pytest.mark.parametrize("given", ["a", "550e8400-e29b-41d4-a716-446655440000", "A.b_c:d/e+f=g-1", "x" * 128])
async def test_a_given_request_id_is_echoed(api, given):
    for path in ("/healthz", "/nothing"):
        answer = await api.client.get(path, headers={"x-request-id": given})
        assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b" ",
        b"x" * 129,
        b"a b",
        b"a\tb",
        b'"',
        b"<script>",
        b"a,b",
        b"{}",
        b"\xff",
        b"%0d%0a",
        b"\xc3\xbc",
        b"a;b",
        b"a\x00",
    ],
)
async def test_a_hostile_request_id_is_ignored(api, hostile):
    answer = await api.client.get("/healthz", headers={"x-request-id": hostile})
    assert GENERATED_ID.fullmatch(answer.headers["x-request-id"])


async def test_generated_request_ids_differ(api):
    ids = {(await api.client.get(path)).headers["x-request-id"] for path in ["/healthz", "/nothing", "/readyz"] * 5}
    assert len(ids) == 15
    assert all(GENERATED_ID.fullmatch(request_id) for request_id in ids)


async def context_seen_with(**headers: str) -> dict:
    seen = {}

    async def look() -> None:
        seen.update(get_contextvars())

    async with rest(ping=look) as api:
        await api.client.get("/readyz", headers=headers)
    assert get_contextvars() == {}
    return seen


async def test_the_log_knows_the_request_and_its_trace():
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    seen = await context_seen_with(**{"x-request-id": "r1"}, traceparent=f"00-{trace_id}-{span_id}-01")
    assert seen == {"request_id": "r1", "trace_id": trace_id}


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "x",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
    ],
)
async def test_a_malformed_trace_parent_is_ignored(traceparent):
    seen = await context_seen_with(traceparent=traceparent)
    assert set(seen) == {"request_id"}


# Metrics


async def test_the_metrics_are_told_method_route_and_status(api):
    await api.enqueue()
    await api.client.post(MESSAGES, content=b"no json")
    await api.receive("any-queue")
    await api.post("/v1/messages/1:ack", b"{}")
    await api.post("/v1/messages/1:ack", b"{}")
    await api.client.get("/healthz")
    await api.client.head("/healthz")
    await api.client.put(MESSAGES)
    await api.client.get("/nothing/at/all")
    await api.client.request("BREW", "/healthz")
    assert api.answered == [
        ("POST", "/v1/queues/{queue}/messages", 201),
        ("POST", "/v1/queues/{queue}/messages", 400),
        ("POST", "/v1/queues/{queue}:receive", 200),
        ("POST", "/v1/messages/{id}:ack", 200),
        ("POST", "/v1/messages/{id}:ack", 404),
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("PUT", "(unmatched)", 405),
        ("GET", "(unmatched)", 404),
        ("(other)", "(unmatched)", 405),
    ]


async def test_no_client_can_make_metrics_grow(api):
    for number in range(20):
        await api.client.get(f"/{number}")
        await api.client.request(f"M{number}", "/healthz")
        await api.post(f"/v1/messages/{number + 1}:ack", b"{}")
        await api.post(f"/v1/queues/q{number}:receive", b"{}")
    assert len(set(api.answered)) == 4


async def test_the_exposition_is_prometheus_text(api):
    await api.enqueue()
    answer = await api.client.get("/metrics")
    assert answer.headers.get_list("content-type") == ["text/plain; version=1.0.0; charset=utf-8"]
    assert 'sqs_messages_enqueued_total{queue="orders"} 1.0' in answer.text
