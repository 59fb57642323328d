"""gRPC over real sockets, beside REST: both APIs on one queue, streams, kills, the end, several workers."""

import contextlib
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb
from sqslite.entrypoints.grpc.v1.sqslite_pb2_grpc import QueueServiceStub
from tests.integration.postgres_server import fresh_database
from tests.integration.server_process import ServerProcess, environment, free_port

ENDED_S_MAX = 10.0
SOON_S_MAX = 10.0
PARKED_S = 0.5


@dataclass
class Both:
    """A server with both of its APIs."""

    process: ServerProcess
    address: str

    @contextlib.contextmanager
    def stub(self) -> Iterator[QueueServiceStub]:
        # Channels to the same address would share a connection.
        with grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            yield QueueServiceStub(channel)

    def rest(self, path: str, **sent: object) -> object:
        answer = httpx.post(self.process.url + path, json=sent, timeout=5)
        assert answer.is_success, answer.text
        return answer.json()


@contextlib.contextmanager
def serving_both(database_url: str, folder: Path, *arguments: str) -> Iterator[Both]:
    port = free_port()
    process = ServerProcess(database_url, folder / "server.log", "--grpc-port", str(port), *arguments).start()
    try:
        yield Both(process, f"127.0.0.1:{port}")
    finally:
        process.kill()


@pytest.fixture
def own_database_url(postgres_server_url: str) -> Iterator[str]:
    with fresh_database(postgres_server_url) as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """One server for the tests that do not end it: each has a queue of its own."""
    folder = tmp_path_factory.mktemp("both")
    in_file = request.param == "sqlite"
    url = f"sqlite:///{folder}/queues.db" if in_file else request.getfixturevalue("postgres_url")
    with serving_both(url, folder) as server:
        yield server
        assert errors_in(server.process.log_text()) == []


@pytest.fixture
def orders(request: pytest.FixtureRequest) -> str:
    """The name of the test's own queue."""
    return re.sub(r"\W", "-", request.node.name)[:80]


class Conversation:
    """A stream on which the test says what it wants, when it wants."""

    def __init__(self, stub: QueueServiceStub, **start: object) -> None:
        self._said: queue.SimpleQueue[pb.ConsumeRequest | None] = queue.SimpleQueue()
        self.answers = stub.Consume(iter(self._said.get, None))
        self.say(start=pb.ConsumeStart(**start))

    def say(self, **fields: object) -> None:
        self._said.put(pb.ConsumeRequest(**fields))

    def say_no_more(self) -> None:
        self._said.put(None)

    def deliveries(self, count: int) -> list[pb.Delivery]:
        got: list[pb.Delivery] = []
        while len(got) < count:
            got += next(self.answers).deliveries
        return got


def errors_in(log: str) -> list[str]:
    """What clients do, or the end of the server, is nothing to be alarmed about."""
    return [line for line in log.splitlines() if "Traceback" in line or '"level": "error"' in line]


def enqueue(stub: QueueServiceStub, *bodies: bytes, name: str = "orders") -> list[int]:
    messages = [pb.NewMessage(body=body) for body in bodies]
    results = stub.EnqueueBatch(pb.EnqueueBatchRequest(queue=name, messages=messages)).results
    assert not any(result.HasField("error") for result in results)
    return [result.id for result in results]


def ids(deliveries: list[pb.Delivery]) -> list[int]:
    return [delivery.message.id for delivery in deliveries]


def test_what_one_api_enqueues_the_other_one_receives_byte_for_byte(both: Both, orders: str):
    with both.stub() as stub:
        for body, kind in ((b'{"a":  1}', "JSON"), ("é".encode(), "TEXT"), (b"\x00\xff", "BINARY")):
            sent = pb.NewMessage(body=body, body_kind=f"BODY_KIND_{kind}")
            stub.Enqueue(pb.EnqueueRequest(queue=orders, message=sent))
        shown = httpx.post(f"{both.process.url}/v1/queues/{orders}:receive", json={}, timeout=5)
        assert '"body":{"a":  1}' in shown.text
        assert [one["body"] for one in shown.json()] == [{"a": 1}, "é", "AP8="]
        # Who receives by one may ack by the other.
        first, second, third = shown.json()
        stub.Ack(pb.AckRequest(receipt=first["receipt"]))
        both.rest("/v1/messages:nack", nacks=[{"receipt": one["receipt"]} for one in (second, third)])
        again = stub.Receive(pb.ReceiveRequest(queue=orders)).deliveries
        assert [delivery.message.body for delivery in again] == ["é".encode(), b"\x00\xff"]
        both.rest(f"/v1/messages/{second['id']}:ack", receipt=again[0].receipt)
        assert stub.Stats(pb.StatsRequest(queue=orders)).in_flight == 1


def test_reflection_and_health_answer(both: Both):
    with grpc.insecure_channel(both.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "sqslite.v1.QueueService" in database.get_services()
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service="sqslite.v1.QueueService"), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_stream_delivers_what_credits_allow_and_gives_back_what_was_not_acked(both: Both, orders: str):
    with both.stub() as stub:
        sent = enqueue(stub, *[b"x"] * 6, name=orders)
        stream = Conversation(stub, queue=orders)
        stream.say(credits=4)
        held = stream.deliveries(4)
        assert ids(held) == sent[:4]
        stats = stub.Stats(pb.StatsRequest(queue=orders))
        assert (stats.ready, stats.in_flight) == (2, 4)
        stream.say(acks=[pb.AckRequest(receipt=delivery.receipt) for delivery in held[:2]])
        settled = next(stream.answers).settled
        assert [one.result.HasField("error") for one in settled] == [False, False]
        stream.say_no_more()
        assert list(stream.answers) == []
        left = stub.Receive(pb.ReceiveRequest(queue=orders)).deliveries
        assert sorted((one.message.id, one.message.delivery_count) for one in left) == [
            (sent[2], 2),
            (sent[3], 2),
            (sent[4], 1),
            (sent[5], 1),
        ]


def test_a_consumer_that_is_killed_loses_what_it_held_at_once(both: Both, orders: str):
    with both.stub() as stub:
        sent = enqueue(stub, *[b"x"] * 5, name=orders)
        words = [sys.executable, "-m", "tests.integration.grpc_consumer", both.address, orders]
        consumer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment("memory://"))
        assert consumer.stdout
        try:
            assert [int(consumer.stdout.readline()) for _ in sent] == sent
        finally:
            consumer.kill()
            consumer.wait()
            consumer.stdout.close()
        back: list[int] = []
        until = time.monotonic() + SOON_S_MAX
        while len(back) < len(sent) and time.monotonic() < until:
            back += ids(list(stub.Receive(pb.ReceiveRequest(queue=orders, wait_ms=1_000)).deliveries))
        assert sorted(back) == sent


def test_a_receive_whose_deadline_passes_or_that_is_cancelled_leases_nothing(both: Both, orders: str):
    with both.stub() as stub:
        stub.PutQueue(pb.PutQueueRequest(queue=orders, settings=pb.QueueSettings(receive_wait_ms=20_000)))
        with pytest.raises(grpc.RpcError) as ended:
            stub.Receive(pb.ReceiveRequest(queue=orders), timeout=0.3)
        assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        started_s = time.monotonic()
        asked = pb.ReceiveRequest(queue=orders, wait_ms=20_000)
        assert list(stub.Receive(asked, timeout=1).deliveries) == []
        assert 0.5 < time.monotonic() - started_s < 1
        gone = stub.Receive.future(asked)
        time.sleep(PARKED_S)
        gone.cancel()
        time.sleep(PARKED_S)
        sent = enqueue(stub, b"x", name=orders)
        (delivery,) = stub.Receive(pb.ReceiveRequest(queue=orders)).deliveries
        assert ([delivery.message.id], delivery.message.delivery_count) == (sent, 1)


def test_a_server_that_is_killed_keeps_what_it_answered_and_gives_back_what_was_leased(tmp_path: Path):
    with serving_both(f"sqlite:///{tmp_path}/queues.db", tmp_path) as both, both.stub() as stub:
        sent = enqueue(stub, b"1", b"2")
        stream = Conversation(stub, queue="orders", visibility_ms=1_500)
        stream.say(credits=2)
        first, _ = stream.deliveries(2)
        stream.say(acks=[pb.AckRequest(receipt=first.receipt)])
        assert not next(stream.answers).settled[0].result.HasField("error")
        both.process.kill()
        with pytest.raises(grpc.RpcError) as ended:
            next(stream.answers)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        both.process.start()
        asked = pb.ReceiveRequest(queue="orders", wait_ms=10_000)
        (delivery,) = stub.Receive(asked, wait_for_ready=True).deliveries
        assert ([delivery.message.id], delivery.message.delivery_count) == (sent[1:], 2)


def ended_with(stream: Conversation) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as ended:
        list(stream.answers)
    return ended.value.code(), dict(ended.value.trailing_metadata() or ()).get("sqslite-code", "")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_ends_streams_and_waits_in_time_and_the_server_ends_with_0(
    own_database_url: str, tmp_path: Path, workers: str
):
    stack = contextlib.ExitStack()
    with serving_both(own_database_url, tmp_path, "--workers", workers) as both, stack, ThreadPoolExecutor(8) as pool:
        stubs = [stack.enter_context(both.stub()) for _ in range(4)]
        enqueue(stubs[0], b"1", name="held")
        holding = Conversation(stubs[0], queue="held")
        holding.say(credits=1)
        (held,) = holding.deliveries(1)
        waiting = [Conversation(stub, queue="empty") for stub in stubs]
        for stream in waiting:
            stream.say(credits=1)
        polls = [pool.submit(stub.Receive, pb.ReceiveRequest(queue="empty", wait_ms=60_000)) for stub in stubs]
        with grpc.insecure_channel(both.address) as channel:
            health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(health).status == health_pb2.HealthCheckResponse.SERVING
            time.sleep(PARKED_S)
            started_s = time.monotonic()
            ended = pool.submit(both.process.stop)
            assert next(health).status == health_pb2.HealthCheckResponse.NOT_SERVING
            # What is held can still be acked.
            holding.say(acks=[pb.AckRequest(receipt=held.receipt)])
            assert not next(holding.answers).settled[0].result.HasField("error")
            assert [list(poll.result(SOON_S_MAX).deliveries) for poll in polls] == [[]] * 4
            stopping = (grpc.StatusCode.UNAVAILABLE, "stopping")
            assert [ended_with(stream) for stream in (holding, *waiting)] == [stopping] * 5
            assert ended.result() == 0, both.process.log_text()
            assert time.monotonic() - started_s < ENDED_S_MAX
            assert errors_in(both.process.log_text()) == []


def test_two_workers_share_the_port_and_wake_each_others_consumers(own_database_url: str, tmp_path: Path):
    stack = contextlib.ExitStack()
    with serving_both(own_database_url, tmp_path, "--workers", "2") as both, stack:
        stubs = [stack.enter_context(both.stub()) for _ in range(8)]
        streams = [Conversation(stub, queue=f"q{number}") for number, stub in enumerate(stubs)]
        for stream in streams:
            stream.say(credits=1)
        time.sleep(PARKED_S)
        for number, stream in enumerate(streams):
            sent = enqueue(stubs[(number + 1) % len(stubs)], b"x", name=f"q{number}")
            assert ids(stream.deliveries(1)) == sent
        assert _listening(both) == 2


def _listening(both: Both) -> int:
    """How many sockets listen on the gRPC port: one for each process."""
    port = f":{int(both.address.rpartition(':')[2]):04X}"
    # The library listens on IPv6 sockets for IPv4, too.
    text = "".join(Path(f"/proc/net/{table}").read_text() for table in ("tcp", "tcp6"))
    lines = [words for line in text.splitlines() if len(words := line.split()) > 3]
    return sum(words[1].endswith(port) and words[3] == "0A" for words in lines)


def test_many_consumers_at_once_get_each_message_once(both: Both, orders: str):
    count, consumers = 400, 8
    with both.stub() as stub:
        sent = enqueue(stub, *[b"x"] * count, name=orders)
    seen: list[int] = []
    over = threading.Event()

    def consume() -> None:
        with both.stub() as stub:
            stream = Conversation(stub, queue=orders)
            stream.say(credits=10)
            threading.Thread(target=lambda: (over.wait(), stream.say_no_more()), daemon=True).start()
            for answer in stream.answers:
                seen.extend(ids(list(answer.deliveries)))
                if answer.deliveries:
                    receipts = [pb.AckRequest(receipt=delivery.receipt) for delivery in answer.deliveries]
                    stream.say(acks=receipts, credits=len(receipts))

    with both.stub() as stub, ThreadPoolExecutor(consumers) as pool:
        ended = [pool.submit(consume) for _ in range(consumers)]
        until = time.monotonic() + 2 * SOON_S_MAX
        while stub.Stats(pb.StatsRequest(queue=orders)).acked_total < count and time.monotonic() < until:
            time.sleep(0.05)
        over.set()
        for each in ended:
            each.result(SOON_S_MAX)
        stats = stub.Stats(pb.StatsRequest(queue=orders))
        assert (stats.ready, stats.in_flight, stats.acked_total) == (0, 0, count)
    assert sorted(seen) == sent
