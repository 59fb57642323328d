"""The clients on real sockets: connections that are kept, lost, refused, too slow or not there."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sqslite import AsyncClient, Client
from sqslite.domain.errors import InvalidValue, OutcomeUnknown, Overloaded, StoreUnavailable
from tests.integration.server_process import ServerProcess, free_port, serving

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving("memory://", tmp_path_factory.mktemp("client"), LOG_LEVEL="warning") as server:
        yield server


class Between:
    """Stands between client and server: counts connections, and loses the first `lost` answers."""

    def __init__(self, upstream_port: int, lost: int = 0) -> None:
        self._upstream_port = upstream_port
        self._lost = lost
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(("127.0.0.1", self._upstream_port)) as server,
        ):
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            while answer := server.recv(1 << 16):
                if self._lost:
                    # The server has done it and said so; the client never hears of it.
                    self._lost -= 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(answer)

    @staticmethod
    def _forward(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := client.recv(1 << 16):
                server.sendall(request)


@contextlib.contextmanager
def between(server: ServerProcess, lost: int = 0) -> Iterator[Between]:
    there = Between(server.port, lost)
    try:
        yield there
    finally:
        there.close()


def test_one_connection_serves_many_calls(server: ServerProcess):
    with between(server) as there, Client(there.url) as client:
        for n in range(20):
            client.send("kept", n)
        assert [one.body for one in client.receive("kept", 20)] == list(range(20))
        assert there.connections == 1


def test_threads_share_a_client_and_its_connections(server: ServerProcess):
    with between(server) as there, Client(there.url, connections_max=2) as client:
        with ThreadPoolExecutor(16) as threads:
            sent = list(threads.map(lambda n: client.send("shared", n).id, range(64)))
        assert len(set(sent)) == 64
        # Two at a time. The pool may close one that becomes free just while it looks for one, and open another for it.
        assert 1 <= there.connections < 8


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_message_whose_answer_was_lost_is_not_sent_twice(server: ServerProcess, lost: int):
    queue = f"lost-{lost}"
    with between(server, lost) as there, Client(there.url) as client:
        accepted = client.send(queue, "once")
        assert not accepted.duplicate
        assert there.connections == lost + 1
        (delivery,) = client.receive(queue, 10)
        assert delivery.message.id == accepted.id


async def test_a_claim_and_an_ack_whose_answers_were_lost_are_made_good(server: ServerProcess):
    async with AsyncClient(server.url) as straight:
        await straight.send("made-good", 1)
        await straight.send("made-good", 2)
        with between(server, lost=1) as there:
            async with AsyncClient(there.url) as client:
                (delivery,) = await client.receive("made-good", 1)
        # The first claim's message, not another one beside it.
        assert (await straight.inspection.stats("made-good"))[0].in_flight == 1
        assert delivery.message.delivery_count == 1
        with between(server, lost=1) as there:
            async with AsyncClient(there.url) as client:
                await client.finish(delivery)
        assert (await straight.inspection.stats("made-good"))[1].acked == 1


def test_without_retries_a_lost_answer_is_an_unknown_outcome(server: ServerProcess):
    with between(server, lost=1) as there, Client(there.url, retries=0) as client:
        with pytest.raises(OutcomeUnknown, match=r"^no answer from http://127"):
            client.send("unknown", 1)
        assert len(client.receive("unknown")) == 1


async def test_where_nobody_listens_nothing_was_done():
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, retries=1) as client, pytest.raises(StoreUnavailable, match=rf"^cannot connect to {url}"):
        client.send("orders", 1)
    async with AsyncClient(url, retries=0) as client:
        with pytest.raises(StoreUnavailable, match=rf"^cannot connect to {url}"):
            await client.receive("orders")


@pytest.fixture
def mute() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(mute: str):
    started = time.monotonic()
    with Client(mute, timeout_s=0.2, retries=0) as client, pytest.raises(OutcomeUnknown, match="ReadTimeout"):
        client.send("orders", 1)
    async with AsyncClient(mute, timeout_s=0.2, retries=0) as client:
        with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
            await client.send("orders", 1)
        with pytest.raises(StoreUnavailable, match="ReadTimeout"):
            await client.administration.get("orders")
    assert time.monotonic() - started < 5


async def test_a_claim_that_waits_is_given_its_time_and_more_calls_than_connections_are_told(mute: str):
    async with AsyncClient(mute, timeout_s=0.2, retries=0, connections_max=1) as client:
        waiting = asyncio.ensure_future(client.receive("orders", wait_ms=60_000))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded, match=r"^all 1 connections to "):
            await client.send("orders", 1)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_who_gives_a_waiting_claim_up_takes_no_message_from_others(server: ServerProcess):
    async with AsyncClient(server.url) as client:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.receive("given-up", wait_ms=10_000), 0.3)
        await client.send("given-up", 1)
        (delivery,) = await client.receive("given-up", wait_ms=2_000)
        assert delivery.message.delivery_count == 1


def test_a_path_before_the_calls_and_headers_of_ones_own_are_sent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def answer() -> None:
            with listener.accept()[0] as client:
                heard.append(client.recv(1 << 16))
                client.sendall(ANSWER)

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/queues/"
        with Client(url, retries=0, headers={"authorization": "Bearer secret"}) as client:
            assert client.receive("orders", 1) == []
    (request,) = heard
    assert request.startswith(b"POST /queues/v1/queues/orders:receive HTTP/1.1\r\n")
    assert b"authorization: Bearer secret\r\n" in request
    assert b"user-agent: sqslite/" in request


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "ftp://localhost",
        "http://",
        "http://a b",
        "http://u:secret@h",
        "http://h:0",
        "http://h?q=1",
    ],
)
def test_what_is_no_url_is_refused_and_no_password_shown(url: str):
    for kind in (Client, AsyncClient):
        with pytest.raises(InvalidValue, match=r"^url must be ") as refused:
            kind(url)
        assert "secret" not in str(refused.value)


def test_a_store_in_this_process_keeps_its_messages_in_its_file(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/own.db"
    with Client(url) as client:
        client.send("orders", {"n": 1}, delay_ms=0)
    with Client(url) as client:
        (delivery,) = client.receive("orders")
        assert delivery.body == {"n": 1}
        client.finish(delivery)


async def test_a_store_in_this_process_settles_leases_that_end_unasked(tmp_path: Path):
    async with AsyncClient(f"sqlite:///{tmp_path}/own.db") as client:
        await client.send("orders", 1, max_retries=1, dlq="dead")
        await client.receive("orders", visibility_ms=100)
        (dead,) = await client.receive("dead", wait_ms=5_000)
        assert dead.message.origin_queue == "orders"


def test_a_database_that_is_not_there_is_said_to_be(tmp_path: Path):
    with pytest.raises(StoreUnavailable), Client(f"sqlite:///{tmp_path}/no/such/folder.db"):
        pass


@pytest.mark.parametrize("file", [None, "own.db"])
def test_who_waits_is_answered_when_the_client_is_closed(tmp_path: Path, file: str | None):
    client = Client(f"sqlite:///{tmp_path}/{file}" if file else "memory://")
    client.send("others", 1)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(client.receive, "orders", wait_ms=60_000)
        time.sleep(0.2)
        client.close()
        assert waiting.result(5) == []
