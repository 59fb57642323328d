"""Check 1: the reference's flow, by a client written for the reference, on a real socket and all three stores."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.server_process import ServerProcess, serving

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
LEASE_MS = 600
SETTLED_S_MAX = 1.0


class ReferenceClient:
    """Does what the reference's client does: 5 s timeout, only 201 enqueues, acks with `{}`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=5)

    def enqueue(self, queue: str, body: object, **fields: object) -> int:
        answer = self._http.post(f"/v1/queues/{queue}/messages", json={"body": body, **fields})
        assert answer.status_code == 201, answer.text
        message_id = answer.json()["id"]
        assert isinstance(message_id, int)
        return message_id

    def receive(self, queue: str, most: int = 10, visibility_ms: int = 30_000) -> list[dict]:
        answer = self._http.post(f"/v1/queues/{queue}:receive", json={"max": most, "visibility_ms": visibility_ms})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def receive_soon(self, queue: str, visibility_ms: int = 30_000) -> list[dict]:
        """Poll until something comes; a lease that has just ended may be in a sweeper's hands at this instant."""
        deadline = time.monotonic() + SETTLED_S_MAX
        while not (messages := self.receive(queue, 1, visibility_ms)):
            assert time.monotonic() < deadline, f"nothing came to {queue}"
            time.sleep(0.02)
        return messages

    def ack(self, message_id: int, **fields: str) -> httpx.Response:
        return self._http.post(f"/v1/messages/{message_id}:ack", json=fields)

    def metric(self, name: str, **labels: str) -> float:
        families = text_string_to_metric_families(self._http.get("/metrics").text)
        samples = [s for family in families for s in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp(request.param)
    url = {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{folder}/flow.db",
        "postgres": lambda: request.getfixturevalue("postgres_url"),
    }[request.param]()
    with serving(url, folder) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> ReferenceClient:
    return ReferenceClient(server.url)


@pytest.fixture
def queue() -> str:
    return f"orders-{uuid4().hex[:8]}"


def test_enqueue_receive_ack(client: ReferenceClient, queue: str):
    message_id = client.enqueue(queue, {"task": "process-order"})
    before = datetime.now(UTC)
    (message,) = client.receive(queue)
    assert (message["id"], message["body"], message["delivery_count"]) == (message_id, {"task": "process-order"}, 1)
    assert isinstance(message["receipt"], str)
    assert RFC_3339.fullmatch(message["lease_until"])
    held = datetime.fromisoformat(message["lease_until"]) - before
    assert timedelta(seconds=29) < held < timedelta(seconds=31)
    assert message["max_retries"] == 5
    assert not {"dlq", "trace_id"} & message.keys()
    acked = client.ack(message_id)
    assert (acked.status_code, acked.json()) == (200, {"ok": True})
    again = client.ack(message_id)
    assert (again.status_code, again.json()["code"]) == (404, "message_not_found")
    assert client.receive(queue) == []


def test_what_was_given_comes_back(client: ReferenceClient, queue: str):
    client.enqueue(queue, [1], max_retries=3, dlq=f"{queue}.dead", trace_id="xyz123")
    (message,) = client.receive(queue)
    assert (message["max_retries"], message["dlq"], message["trace_id"]) == (3, f"{queue}.dead", "xyz123")


def test_a_delay_is_kept(client: ReferenceClient, queue: str):
    client.enqueue(queue, 1, delay=LEASE_MS)
    assert client.receive(queue) == []
    time.sleep(LEASE_MS / 1_000)
    assert len(client.receive_soon(queue)) == 1


def test_an_expired_lease_is_delivered_again_and_supersedes_the_receipt(client: ReferenceClient, queue: str):
    message_id = client.enqueue(queue, 1)
    (first,) = client.receive(queue, 1, LEASE_MS)
    assert client.receive(queue) == []
    time.sleep(LEASE_MS / 1_000)
    (second,) = client.receive_soon(queue)
    assert (second["id"], second["delivery_count"]) == (message_id, 2)
    stale = client.ack(message_id, receipt=first["receipt"])
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_receipt")
    assert client.ack(message_id, receipt=second["receipt"]).status_code == 200


def test_used_up_deliveries_go_to_the_dlq_with_the_same_id(client: ReferenceClient, queue: str):
    dlq = f"{queue}.dead"
    message_id = client.enqueue(queue, {"a": 1}, max_retries=2, dlq=dlq, trace_id="t")
    for delivery in (1, 2):
        (message,) = client.receive_soon(queue, LEASE_MS)
        assert message["delivery_count"] == delivery
        time.sleep(LEASE_MS / 1_000)
    (dead,) = client.receive_soon(dlq)
    assert client.receive(queue) == []
    assert (dead["id"], dead["body"], dead["delivery_count"], dead["trace_id"]) == (message_id, {"a": 1}, 1, "t")
    assert (dead["origin_queue"], dead["origin_delivery_count"]) == (queue, 2)


def test_a_lease_is_settled_within_a_second_though_nobody_polls_its_queue(client: ReferenceClient, queue: str):
    """Promise 6, with the sweep interval at its default of 60 s: the DLQ is polled, the queue itself is not."""
    client.enqueue(queue, 1, max_retries=1, dlq=f"{queue}.dead")
    client.receive(queue, 1, LEASE_MS)
    time.sleep(LEASE_MS / 1_000)
    assert len(client.receive_soon(f"{queue}.dead")) == 1


def test_the_metrics_are_exact(client: ReferenceClient, queue: str):
    plain = ("sqs_messages_acked_total", "sqs_messages_requeued_total", "sqs_messages_dlq_total")
    before = {name: client.metric(name) for name in plain}
    for _ in range(3):
        client.enqueue(queue, 1, max_retries=2, dlq=f"{queue}.dead")
    first, *_ = client.receive(queue, 3, LEASE_MS)
    client.ack(first["id"])
    time.sleep(LEASE_MS / 1_000 + SETTLED_S_MAX)
    assert len(client.receive(queue, 3, LEASE_MS)) == 2
    time.sleep(LEASE_MS / 1_000 + SETTLED_S_MAX)
    counted = {name: client.metric(name) - before[name] for name in plain}
    assert counted == dict(zip(plain, (1, 2, 2), strict=True))
    assert client.metric("sqs_messages_enqueued_total", queue=queue) == 3
    assert client.metric("sqs_messages_received_total", queue=queue) == 5
    assert client.metric("sqs_sweeper_errors_total") == 0
    assert client.metric("sqs_sweeper_duration_seconds_count") > 0
