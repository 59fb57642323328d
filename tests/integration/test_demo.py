"""The demo: it shows the four parts on a real server, and believes no server that does not keep its promises."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sqslite.entrypoints import demo
from sqslite.entrypoints.demo import REFERENCE_METRICS, run_demo
from tests.integration.server_process import free_port, serving

Answers = dict[str, list[tuple[int, Any]]]

METRICS = (200, "\n".join(f"{name} 1" for name in REFERENCE_METRICS))


def message(**fields: Any) -> dict[str, Any]:
    body = {"task": "process-order", "order": 1}
    return {"id": 1, "body": body, "receipt": "r", "delivery_count": 1, **fields}


@contextmanager
def answering(answers: Answers) -> Iterator[str]:
    """A server that gives these answers by the last word of the path, one after another, the last one for ever."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            left = answers.get(self.path.replace(":", "/").rpartition("/")[2], [(404, "not here")])
            status, content = left.pop(0) if len(left) > 1 else left[0]
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_demo_shows_its_four_parts_beside_messages_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("memory://", tmp_path) as server, server.client() as client:
        client.post("/v1/queues/orders/messages", json={"body": "somebody's"}).raise_for_status()
        assert run_demo(f"{server.url}/") == 0
        (untouched,) = client.post("/v1/queues/orders:receive", json={}).json()
        metrics = client.get("/metrics").text
    assert (untouched["body"], untouched["delivery_count"]) == ("somebody's", 1)
    assert "sqs_messages_acked_total 3.0" in metrics
    said = capsys.readouterr().out
    for title in ("1. Enqueue", "2. A lease", "3. Deliveries used up", "4. Live metrics", "Everything was as promised"):
        assert title in said
    for name in REFERENCE_METRICS:
        assert name in said
    assert "✗" not in said


@pytest.mark.parametrize(
    ("url", "code", "sentence"),
    [
        (f"http://127.0.0.1:{free_port()}", 4, "Nobody listens at http://127.0.0.1:"),
        ("localhost:8080", 1, "'localhost:8080' is no address of a server"),
        ("http://localhost:eighty", 1, "'http://localhost:eighty' is no address of a server"),
    ],
    ids=["nobody listens", "no scheme", "no port"],  # the free port differs between test processes, a name must not
)
def test_where_nobody_listens_the_demo_says_so(
    url: str, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(url) == code
    assert f"✗ {sentence}" in capsys.readouterr().out


OK = {"healthz": [(200, "ok")], "messages": [(201, {"id": 1})], "ack": [(200, {"ok": True})], "metrics": [METRICS]}
PART_1 = [(200, [message()]), (200, [])]
PART_2 = [(200, [message()]), (200, []), (200, [message(delivery_count=2)])]
PART_3 = [
    (200, [message()]),
    (200, [message(delivery_count=2)]),
    (200, [message(body={"task": "always-fails"})]),
    (200, []),
]


def test_a_server_that_keeps_every_promise_is_believed() -> None:
    with answering({**OK, "receive": [*PART_1, *PART_2, *PART_3]}) as url:
        assert run_demo(url) == 0


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ({"healthz": [(404, "<html>")]}, "what answers there is no sqslite: GET /healthz gave 404"),
        ({"messages": [(200, {"id": 1})]}, "/messages should answer 201, but gave 200"),
        ({"messages": [(201, {"id": "1"})]}, "/messages gave what cannot be read as promised"),
        ({"receive": [(200, [message(body=1)])]}, "message 1 arrives as it was sent"),
        ({"receive": [(200, [message()])]}, "an acked message is gone"),
        ({"ack": [(409, {"error": "stale"})]}, "/v1/messages/1:ack should answer 200, but gave 409"),
        ({"receive": [*PART_1, (200, [message()])]}, "while leased (2 s) it is hidden"),
        ({"receive": [*PART_1, *PART_2[:2], (200, [message()])]}, "message 1 comes again by itself"),
        ({"receive": [*PART_1, *PART_2, (200, [])]}, "within 0.3 s; does a sweeper run?"),
        ({"receive": [*PART_1, *PART_2, (200, [message()])]}, "delivery 2 of 2"),
        ({"receive": [*PART_1, *PART_2, *PART_3[:2], (200, [message(id=2)])]}, "with its id and its body"),
        ({"receive": [*PART_1, *PART_2, *PART_3[:3], (200, [message()])]}, "no longer where it came from"),
        ({"metrics": [(200, "sqs_messages_acked_total 1")]}, "there is no sqs_messages_enqueued_total"),
    ],
)
def test_a_promise_that_is_not_kept_ends_the_demo_with_a_sentence(
    lie: Answers, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "ARRIVAL_S_MAX", 0.3)
    truth = {**OK, "receive": [*PART_1, *PART_2, *PART_3]}
    with answering({path: list(answers) for path, answers in {**truth, **lie}.items()}) as url:
        assert run_demo(url) == 1
    last_line = capsys.readouterr().out.strip().splitlines()[-1]
    assert last_line.startswith("✗ ")
    assert sentence in last_line


def test_a_server_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "ANSWER_S_MAX", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert run_demo(f"http://127.0.0.1:{silent.getsockname()[1]}") == 4
    assert "did not answer within 0.2 s" in capsys.readouterr().out
