"""What a client does with its connections: how many requests they are given at once, in which loop, and until when."""

import asyncio
import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpcore
import msgspec
import pytest

from sqslite import AsyncClient, Client
from sqslite.adapters.client.connections import AsyncConnections, Connections, Options
from sqslite.adapters.entropy import SeededEntropy
from sqslite.domain.errors import InvalidValue, Overloaded
from sqslite.wire.shapes import ResultOut, ResultsOut

BODY = msgspec.json.encode(ResultsOut([ResultOut(id=1)]))
ANSWER = httpcore.Response(200, content=BODY)
ANSWER.read()
URL = "http://sqslite"


class CountingPool:
    """Answers when it is let to, and counts the requests that wait for that."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0
        self.free = asyncio.Event()

    async def request(self, *_: object, **__: object) -> httpcore.Response:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.free.wait()
        self.waiting -= 1
        return ANSWER

    async def aclose(self) -> None:
        pass


def client_of(pool: CountingPool, **options) -> AsyncClient:
    return AsyncClient.through(AsyncConnections(URL, Options(**options), SeededEntropy(), pool))


async def test_the_pool_is_given_no_more_requests_than_it_has_connections():
    pool = CountingPool()
    client = client_of(pool, connections_max=3, retries=0)
    calls = [asyncio.create_task(client.send("orders", 1)) for _ in range(20)]
    await asyncio.sleep(0.01)
    pool.free.set()
    assert [accepted.id for accepted in await asyncio.gather(*calls)] == [1] * 20
    assert pool.most == 3


async def test_calls_do_not_get_slower_by_the_connections_that_there_are():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, AsyncClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", retries=0) as client:
        began = time.monotonic()
        await asyncio.gather(*[client.send("orders", n) for n in range(500)])
        # A third of a second; in one pool of httpcore it took eleven.
        assert time.monotonic() - began < 5


async def test_a_call_that_gets_no_connection_in_time_is_told_so():
    pool = CountingPool()
    client = client_of(pool, connections_max=1, retries=0, timeout_s=0.01)
    first = asyncio.create_task(client.send("orders", 1))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match=f"all 1 connections to {URL} are in use"):
        await client.send("orders", 2)
    pool.free.set()
    assert (await first).id == 1


async def test_a_call_that_is_cancelled_gives_its_place_back():
    pool = CountingPool()
    client = client_of(pool, connections_max=1, retries=0)
    for waiting_first in (True, False):
        call = asyncio.create_task(client.send("orders", 1))
        behind = asyncio.create_task(client.send("orders", 2))
        await asyncio.sleep(0.01)
        (behind if waiting_first else call).cancel()
        (call if waiting_first else behind).cancel()
        await asyncio.gather(call, behind, return_exceptions=True)
    pool.free.set()
    assert (await client.send("orders", 3)).id == 1


class SlowPool(httpcore.ConnectionPool):
    def request(self, *_: object, **__: object) -> httpcore.Response:
        time.sleep(0.6)
        return ANSWER


def test_threads_that_find_no_connection_are_told_so():
    options = Options(connections_max=1, retries=0, timeout_s=0.2)
    client = Client.through(Connections(URL, options, SeededEntropy(), SlowPool()))
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(client.send, "orders", n) for n in range(2)]
    assert [type(call.exception()) for call in calls if call.exception()] == [Overloaded]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY))


def test_a_client_goes_on_in_a_new_event_loop_when_its_own_is_over():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    client = AsyncClient(f"http://127.0.0.1:{port}", retries=0)

    async def call() -> int:
        server = await asyncio.start_server(answer, sock=listener.dup())
        try:
            return (await client.send("orders", 1)).id
        finally:
            server.close()

    with listener:
        assert [asyncio.run(call()), asyncio.run(call())] == [1, 1]


async def test_a_client_is_refused_in_a_second_event_loop_beside_its_own():
    pool = CountingPool()
    pool.free.set()
    client = client_of(pool)
    await client.send("orders", 1)
    with pytest.raises(RuntimeError, match="belongs to another event loop"):
        await asyncio.to_thread(lambda: asyncio.run(client.send("orders", 1)))


@pytest.mark.parametrize("url", [URL, "memory://"])
def test_a_client_that_was_closed_is_not_opened_again(url: str):
    client = Client(url)
    client.close()
    client.close()
    for call in (lambda: client.send("orders", 1), lambda: client.inspection.stats("orders"), client.__enter__):
        with pytest.raises(RuntimeError, match="the client is closed"):
            call()


@pytest.mark.parametrize("url", [URL, "memory://"])
async def test_an_async_client_that_was_closed_is_not_opened_again(url: str):
    client = AsyncClient(url)
    await client.close()
    await client.close()
    for call in (lambda: client.send("orders", 1), lambda: client.inspection.stats("orders"), client.__aenter__):
        with pytest.raises(RuntimeError, match="the client is closed"):
            await call()


@pytest.mark.parametrize(
    ("option", "value"),
    [("timeout_s", 0), ("connect_timeout_s", -1), ("retries", -1), ("connections_max", 0), ("timeout_s", float("nan"))],
)
def test_options_outside_their_limits_are_refused(option: str, value: float):
    with pytest.raises(InvalidValue) as refused:
        Client(URL, **{option: value})
    assert refused.value.field == option
