"""Long polls over real sockets: woken, hung up on, ended by SIGTERM, on one node and on two workers."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.postgres_server import fresh_database
from tests.integration.server_process import ServerProcess, serving

WAIT_MS = 60_000
# Generous, and yet far from the end of the wait.
ANSWERED_S_MAX = 10.0
ENDED_S_MAX = 10.0
PARKED_S = 0.5


@pytest.fixture(params=["memory", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    url = "memory://" if request.param == "memory" else request.getfixturevalue("own_database_url")
    with serving(url, tmp_path) as server:
        yield server


@pytest.fixture
def own_database_url(postgres_server_url: str) -> Iterator[str]:
    with fresh_database(postgres_server_url) as url:
        yield url


@contextlib.asynccontextmanager
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a connection for each call that is under way."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=server.url, timeout=WAIT_MS / 1_000 + 10, limits=limits) as client:
        yield client


def parked(client: httpx.AsyncClient, count: int, queue: str = "orders", **fields: int) -> list[asyncio.Task]:
    asked = {"wait_ms": WAIT_MS, "max": 1, **fields}
    return [asyncio.ensure_future(client.post(f"/v1/queues/{queue}:receive", json=asked)) for _ in range(count)]


async def enqueue(client: httpx.AsyncClient, queue: str = "orders") -> int:
    answer = await client.post(f"/v1/queues/{queue}/messages", json={"body": 1})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def soon(poll: Awaitable[httpx.Response]) -> list[dict]:
    answer = await asyncio.wait_for(poll, ANSWERED_S_MAX)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_parked_receive_is_answered_soon_after_an_enqueue_from_elsewhere(server: ServerProcess):
    async with client(server) as consumer, client(server) as producer:
        polls = parked(consumer, 3)
        await asyncio.sleep(PARKED_S)
        assert not any(poll.done() for poll in polls)
        sent = [await enqueue(producer) for _ in polls]
        received = [await soon(poll) for poll in polls]
        assert sorted(message["id"] for messages in received for message in messages) == sent
        assert all(message["delivery_count"] == 1 for messages in received for message in messages)


async def test_an_empty_wait_ends_with_an_empty_list_and_not_before_its_time(server: ServerProcess):
    async with client(server) as consumer:
        started_s = time.monotonic()
        (poll,) = parked(consumer, 1, wait_ms=700)
        assert await soon(poll) == []
        assert time.monotonic() - started_s >= 0.7


async def test_a_client_that_hangs_up_while_it_waits_leases_nothing(server: ServerProcess):
    async with client(server) as others:
        body = f'{{"wait_ms":{WAIT_MS}}}'.encode()
        head = f"POST /v1/queues/orders:receive HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        gone = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        for connection in gone:
            connection.sendall(head + body)
        await asyncio.sleep(PARKED_S)
        for connection in gone:
            connection.close()
        await asyncio.sleep(PARKED_S)
        sent = await enqueue(others)
        (poll,) = parked(others, 1)
        assert [(m["id"], m["delivery_count"]) for m in await soon(poll)] == [(sent, 1)]


async def test_a_client_that_stays_gets_what_those_who_hung_up_were_woken_for(server: ServerProcess):
    async with client(server) as leaving, client(server) as staying:
        gone = parked(leaving, 5)
        await asyncio.sleep(PARKED_S)
        (poll,) = parked(staying, 1)
        await asyncio.sleep(PARKED_S)
        for each in gone:
            each.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        await asyncio.sleep(PARKED_S)
        sent = await enqueue(staying)
        assert [(m["id"], m["delivery_count"]) for m in await soon(poll)] == [(sent, 1)]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_sigterm_answers_every_parked_poll_and_the_server_ends_with_0(
    own_database_url: str, tmp_path: Path, workers: str
):
    server = ServerProcess(own_database_url, tmp_path / "server.log", "--workers", workers).start()
    try:
        async with client(server) as consumer:
            polls = parked(consumer, 200)
            # On a busy machine some may not have come yet, and what has not come when the server ends is not answered.
            await asyncio.sleep(10 * PARKED_S)
            for _ in range(5):
                assert (await consumer.get("/readyz")).status_code == 200
            assert not any(poll.done() for poll in polls)
            started_s = time.monotonic()
            ended = asyncio.create_task(asyncio.to_thread(server.stop))
            answers = await asyncio.gather(*polls)
            assert [(answer.status_code, answer.json()) for answer in answers] == [(200, [])] * 200
            assert await ended == 0, server.log_text()
            assert time.monotonic() - started_s < ENDED_S_MAX
    finally:
        server.kill()


async def test_a_message_reaches_a_poll_whichever_of_two_workers_has_it(own_database_url: str, tmp_path: Path):
    with serving(own_database_url, tmp_path, "--workers", "2") as server:
        async with client(server) as consumer, client(server) as producer:
            for n in range(6):
                (poll,) = parked(consumer, 1, f"q{n}")
                await asyncio.sleep(PARKED_S / 5)
                sent = await enqueue(producer, f"q{n}")
                assert [message["id"] for message in await soon(poll)] == [sent]


async def test_parked_polls_hold_no_database_connection(own_database_url: str, tmp_path: Path):
    with serving(own_database_url, tmp_path, DB_POOL_SIZE="2") as server:
        async with client(server) as consumer, client(server) as producer:
            polls = parked(consumer, 300)
            await asyncio.sleep(2 * PARKED_S)
            assert not any(poll.done() for poll in polls)
            for _ in range(20):
                other = await enqueue(producer, "other")
                answer = await producer.post(f"/v1/messages/{other}:ack", json={})
                assert answer.status_code == 200, answer.text
            sent = [await enqueue(producer) for _ in polls]
            received = [await soon(poll) for poll in polls]
            assert sorted(message["id"] for messages in received for message in messages) == sorted(sent)
