"""A real server under hostile clients, over raw sockets: a clear 4xx or a closed connection, never a 5xx."""

import contextlib
import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.integration.server_process import ServerProcess, serving

WAIT_S = 10.0
MIB = 1024 * 1024
HOST = b"Host: localhost\r\n"
MESSAGES = b"/v1/queues/orders/messages"
GOOD = b'{"body":1}'

# What the HTTP library below the application (hyper, inside granian) answers by itself, with no body: it has no hook
# for one, and by then there is no request that an application could be asked about.
BELOW = {
    400: "the bytes are no HTTP request",
    414: "the request line is longer than the buffer for a head",
    431: "the head is larger than its buffer, or has more than 100 fields",
}


@dataclass
class Answer:
    """`status` 0: the connection was closed without a word."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Peer:
    """One connection, as a hostile client holds it."""

    def __init__(self, server: ServerProcess) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S)
        self._unread = b""

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def half_close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self, method: str = "POST") -> Answer:
        head = self._read_until(b"\r\n\r\n")
        if not head:
            return Answer()
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split(" ")[1])
        length = 0 if method == "HEAD" or status == 100 else int(headers.get("content-length", 0))
        while len(self._unread) < length:
            self._unread += self._received()
        body, self._unread = self._unread[:length], self._unread[length:]
        return Answer(status, headers, body)

    def closed(self) -> bool:
        return self._unread == b"" and self._received() == b""

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            received = self._received()
            if not received:
                return b""
            self._unread += received
        head, _, self._unread = self._unread.partition(mark)
        return head

    def _received(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except ConnectionResetError:
            return b""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving("memory://", tmp_path_factory.mktemp("hostile"), KEEP_ALIVE_TIMEOUT="5") as server:
        yield server


@pytest.fixture(autouse=True)
def the_server_is_none_the_worse(server: ServerProcess) -> Iterator[None]:
    yield
    assert httpx.get(f"{server.url}/healthz", timeout=WAIT_S).text == "ok"
    assert server.process is not None
    assert server.process.poll() is None
    log = server.log_text()
    assert "request_failed" not in log
    assert "Traceback" not in log
    assert '"level": "error"' not in log


def request(
    body: bytes = GOOD,
    *,
    path: bytes = MESSAGES,
    headers: bytes = b"",
    length: bytes | None = None,
    method: bytes = b"POST",
) -> bytes:
    declared = b"%d" % len(body) if length is None else length
    return (
        method + b" " + path + b" HTTP/1.1\r\n" + HOST + headers + b"Content-Length: " + declared + b"\r\n\r\n" + body
    )


def chunked(body: bytes, path: bytes = MESSAGES) -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body


def get(path: bytes = b"/healthz", headers: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n"


def exchanged(server: ServerProcess, data: bytes, *, half_closed: bool = False) -> Answer:
    with Peer(server) as peer:
        peer.send(data)
        if half_closed:
            peer.half_close()
        return peer.answer()


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f]+-[0-9]+", answer.headers["x-request-id"])
    refusal = json.loads(answer.body)
    assert set(refusal) == {"error", "code"}
    assert refusal["code"] == code
    assert refusal["error"]
    assert len(answer.body) < 500


NO_HTTP = {
    "zeros": bytes(100),
    "binary": bytes(range(256)) + b"\r\n\r\n",
    "one word": b"HELLO\r\n\r\n",
    "lower case": b"get /healthz http/1.1\r\n\r\n",
    "version 9.9": b"GET /healthz HTTP/9.9\r\n\r\n",
    "version 0.9": b"GET /healthz\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
    "no colon": get(headers=b"nocolon\r\n"),
    "NUL in a value": get(headers=b"X-A: a\x00b\r\n"),
    "folded value": get(headers=b"X-A: a\r\n b\r\n"),
    "space before the colon": get(headers=b"X-A : a\r\n"),
    "NUL in the path": get(b"/health\x00z"),
    "space in the path": get(b"/health z"),
    "no UTF-8 in the path": get(b"/v1/queues/\xff:receive"),
    "odd method": b"B\x7fEW /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "broken absolute URL": get(b"http://[::1/healthz"),
    "length negative": request(length=b"-1"),
    "length a word": request(length=b"abc"),
    "length signed": request(length=b"+10"),
    "length a list": request(length=b"10, 10"),
    "length beyond 2^64": request(length=b"9" * 30),
    "lengths that differ": request(headers=b"Content-Length: 11\r\n"),
    "unknown transfer encoding": b"POST " + MESSAGES + b" HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n{}",
}


@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_no_http_is_answered_below_the_application(server, data):
    with Peer(server) as peer:
        peer.send(data)
        answer = peer.answer()
        assert (answer.status, answer.body) == (400, b"")
        assert answer.status in BELOW
        assert peer.closed()


HUGE_HEADS = {
    "one of 1 MiB": (get(headers=b"X-A: " + b"a" * MIB + b"\r\n"), 431),
    "150 fields": (get(headers=b"".join(b"X-%d: a\r\n" % number for number in range(150))), 431),
    "10,000 fields": (get(headers=b"".join(b"X-%d: a\r\n" % number for number in range(10_000))), 431),
    "a path of 70,000 bytes": (get(b"/" + b"a" * 70_000), 414),
}


@pytest.mark.parametrize(("data", "status"), HUGE_HEADS.values(), ids=HUGE_HEADS)
def test_a_huge_head_is_answered_below_the_application(server, data, status):
    answer = exchanged(server, data)
    assert (answer.status, answer.body) == (status, b"")
    assert answer.status in BELOW


def test_an_http_2_preface_is_hung_up_on(server):
    with Peer(server) as peer:
        peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        assert peer.answer() == Answer()


HARMLESS = {
    "HTTP/1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "absolute form": get(b"http://somewhere.example/healthz"),
    "bytes that are no text": get(headers=b"X-Request-Id: \xff\xfe\r\nCookie: \xff=;;;\r\nAccept: \xff;q=z\r\n"),
    "a body on a GET": request(b"abc", path=b"/healthz", method=b"GET"),
    "an upgrade to WebSocket": get(
        headers=b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    ),
    "an upgrade to HTTP/2": get(
        headers=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    ),
    "90 fields": get(headers=b"".join(b"X-%d: a\r\n" % number for number in range(90))),
    "a query of nonsense": get(b"/healthz?%ff=%zz&&&=&%00"),
}


@pytest.mark.parametrize("data", HARMLESS.values(), ids=HARMLESS)
def test_what_is_odd_but_harmless_is_served(server, data):
    answer = exchanged(server, data)
    assert (answer.status, answer.body) == (200, b"ok")


TAKEN = {
    "no content type": request(),
    "a form": request(headers=b"Content-Type: application/x-www-form-urlencoded\r\n"),
    "a content type of nonsense": request(headers=b"Content-Type: \xff/;;charset=zz\r\n"),
    "a multipart body": request(headers=b"Content-Type: multipart/form-data; boundary=x\r\n"),
    "the same length twice": request(headers=b"Content-Length: 10\r\n"),
    "chunks": chunked(b'5\r\n{"bod\r\n5;ext=1\r\ny":1}\r\n0\r\nTrailer: x\r\n\r\n'),
    "an unknown expectation": request(headers=b"Expect: 200-ok\r\n"),
    "the queue ..": request(path=b"/v1/queues/%2e%2e/messages"),
    "bytes behind the body": request() + b"\x00\x01garbage\r\n\r\n",
}


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN)
def test_a_good_message_in_an_odd_wrapping_is_taken(server, data):
    answer = exchanged(server, data)
    assert answer.status == 201, answer
    assert answer.headers["content-type"] == "application/json"


NO_JSON = {
    "invalid UTF-8": request(b'{"body":"\xff"}'),
    "overlong UTF-8": request(b'{"body":"\xc0\xaf"}'),
    "an encoded surrogate": request(b'{"body":"\xed\xa0\x80"}'),
    "a byte order mark": request(b"\xef\xbb\xbf" + GOOD),
    "UTF-16": request('{"body":1}'.encode("utf-16"), headers=b"Content-Type: application/json; charset=utf-16\r\n"),
    "UTF-32": request('{"body":1}'.encode("utf-32")),
    "NUL bytes": request(bytes(1_000)),
    "a NUL in a string": request(b'{"body":"\x00"}'),
    "a NUL behind the object": request(GOOD + b"\x00"),
    "100,000 arrays": request(b'{"body":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "100,000 arrays that never end": request(b'{"body":' + b"[" * 100_000),
    "100,000 objects": request(b'{"body":' * 100_000 + b"1" + b"}" * 100_000),
    "a length too short": request(length=b"5"),
    "one quote": request(b'"'),
}


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_refused(server, data):
    assert_refused(exchanged(server, data), 400, "invalid_json")


NO_PATHS = {
    "%ff": (b"/v1/queues/%ff/messages", 400, "invalid_value"),
    "%00": (b"/v1/queues/%00/messages", 400, "invalid_value"),
    "%0d%0a": (b"/v1/queues/a%0d%0aX:%20y/messages", 400, "invalid_value"),
    "%zz": (b"/v1/queues/%zz/messages", 400, "invalid_value"),
    "%": (b"/v1/queues/%", 405, "method_not_allowed"),
    "%c0%af": (b"/v1/queues/%c0%af/messages", 400, "invalid_value"),
    "raw UTF-8": ("/v1/queues/ü/messages".encode(), 400, "invalid_value"),
    "a slash inside": (b"/v1/queues/a%2fb/messages", 404, "not_found"),
    "dots": (b"/v1/queues/../../healthz", 404, "not_found"),
    "dots, escaped": (b"/%2e%2e/%2e%2e/etc/passwd", 404, "not_found"),
    "a name of 30,000": (b"/v1/queues/" + b"a" * 30_000 + b"/messages", 400, "invalid_value"),
    "a path of 60,000": (b"/" + b"a" * 60_000, 404, "not_found"),
    "colons": (b"/v1/queues/:::::::/messages", 400, "invalid_value"),
    "nothing but colons": (b"/::::", 404, "not_found"),
    "slashes": (b"/" * 1_000, 404, "not_found"),
    "a message id of 5,000": (b"/v1/messages/" + b"9" * 5_000 + b":ack", 400, "invalid_value"),
}


@pytest.mark.parametrize(("path", "status", "code"), NO_PATHS.values(), ids=NO_PATHS)
def test_a_nonsense_path_is_refused(server, path, status, code):
    assert_refused(exchanged(server, request(path=path)), status, code)


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip"])
def test_a_compressed_body_is_refused_as_such(server, encoding):
    data = request(gzip.compress(GOOD), headers=b"Content-Encoding: " + encoding + b"\r\n")
    assert_refused(exchanged(server, data), 415, "unsupported_encoding")


def test_a_hostile_host_is_refused(server):
    assert_refused(exchanged(server, b"GET /healthz HTTP/1.1\r\nHost: \xff@@//\r\n\r\n"), 400, "bad_request")


@pytest.mark.parametrize("line", [b"OPTIONS * HTTP/1.1", b"CONNECT localhost:80 HTTP/1.1"])
def test_requests_about_no_path_are_refused(server, line):
    assert_refused(exchanged(server, line + b"\r\n" + HOST + b"\r\n"), 404, "not_found")


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"BREW", b"PUT", b"B" * 300])
def test_other_methods_are_refused_with_the_allowed_ones(server, method):
    answer = exchanged(server, method + b" " + MESSAGES + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.status == 405
    assert json.loads(answer.body)["code"] == "method_not_allowed"
    assert set(answer.headers["allow"].split(", ")) == {"POST", "GET", "HEAD", "OPTIONS"}


BROKEN_CHUNKS = {
    "size no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "size negative": b"-1\r\n{}\r\n0\r\n\r\n",
    "size huge": b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "no line end": b"2\r\n{}XX0\r\n\r\n",
}


@pytest.mark.parametrize("chunks", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS)
def test_broken_chunks_are_refused(server, chunks):
    assert_refused(exchanged(server, chunked(chunks)), 400, "bad_request")


HALF = {
    "chunk": chunked(b"20\r\n{}"),
    "body": request(length=b"50"),
    "body of 2^63": request(length=b"9223372036854775807"),
}


@pytest.mark.parametrize("data", HALF.values(), ids=HALF)
def test_a_half_closed_connection_gets_its_answer(server, data):
    assert_refused(exchanged(server, data, half_closed=True), 400, "bad_request")


def test_a_whole_request_on_a_half_closed_connection_may_go_unanswered(server):
    # hyper takes the end of what it reads for the end of the connection, unless the answer is faster.
    assert exchanged(server, request(), half_closed=True).status in (0, 201)


def test_a_body_that_drips_is_given_up(server):
    with Peer(server) as peer:
        peer.send(request(b"", length=b"1000"))
        given_up_at = time.monotonic() + WAIT_S
        while time.monotonic() < given_up_at:
            try:
                peer.send(b" ")
                peer._socket.settimeout(0.25)
                answer = peer.answer()
                break
            except TimeoutError:
                continue
        assert_refused(answer, 408, "request_timeout")


def test_a_head_that_never_comes_is_hung_up_on(server):
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(server)) for _ in range(4)]
        for peer, data in zip(peers, [b"", b"G", b"POST " + MESSAGES + b" HTTP/1.1\r\nHos", get()[:-2]], strict=True):
            peer.send(data)
        assert [peer.answer() for peer in peers] == [Answer()] * 4


@pytest.mark.parametrize("mib", [7, 10, 100])
def test_a_sender_of_too_large_a_body_sees_the_answer(server, mib):
    with Peer(server) as peer:
        peer.send(request(b"x" * (mib * MIB)))
        assert_refused(peer.answer(), 413, "request_too_large")
        # The body was read to its end, so the connection is still good.
        peer.send(get())
        assert peer.answer().body == b"ok"


def test_a_common_client_sees_the_answer_to_too_large_a_body(server):
    with server.client() as client:
        answer = client.post(MESSAGES.decode(), content=b"x" * (100 * MIB), timeout=WAIT_S)
        assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


def test_too_many_chunks_are_too_large(server):
    with Peer(server) as peer:
        peer.send(chunked(b"100000\r\n" + b"x" * MIB + b"\r\n"))
        for _ in range(9):
            peer.send(b"100000\r\n" + b"x" * MIB + b"\r\n")
        peer.send(b"0\r\n\r\n")
        assert_refused(peer.answer(), 413, "request_too_large")


def test_a_message_beyond_its_own_limit_is_too_large(server):
    answer = exchanged(server, request(b'{"body":"' + b"x" * MIB + b'"}'))
    assert_refused(answer, 413, "body_too_large")


def test_who_expects_a_go_ahead_gets_it(server):
    with Peer(server) as peer:
        peer.send(request(b"", headers=b"Expect: 100-continue\r\n", length=b"10"))
        assert peer.answer().status == 100
        peer.send(GOOD)
        assert peer.answer().status == 201


def test_who_expects_a_go_ahead_for_too_much_is_refused_at_once(server):
    with Peer(server) as peer:
        peer.send(request(b"", headers=b"Expect: 100-continue\r\n", length=b"100000000"))
        assert_refused(peer.answer(), 413, "request_too_large")


def test_pipelined_requests_are_answered_in_order(server):
    with Peer(server) as peer:
        peer.send(get() + request(b"no json") + get(b"/nothing") + request() + get())
        assert [peer.answer().status for _ in range(5)] == [200, 400, 404, 201, 200]


def test_a_head_has_no_body(server):
    with Peer(server) as peer:
        peer.send(b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n" + get())
        assert (peer.answer("HEAD").status, peer.answer().body) == (200, b"ok")


def test_a_request_cannot_be_smuggled_in_a_body(server):
    hidden = get(b"/hidden")
    with Peer(server) as peer:
        peer.send(
            chunked(b"0\r\n\r\n").replace(b"Transfer", b"Content-Length: %d\r\nTransfer" % (5 + len(hidden))) + hidden
        )
        assert peer.answer().status == 400
        # Of two lengths, the chunks count, and nothing behind them on a connection with such a request.
        assert peer.closed()


def test_many_who_connect_and_leave_do_no_harm(server):
    for number in range(300):
        with Peer(server) as peer:
            peer.send(request()[: number % 150])
