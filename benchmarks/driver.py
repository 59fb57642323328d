"""A closed-loop HTTP driver, lean enough not to be the bottleneck: each connection has one request under way."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import quantiles

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(HEAD_END)
        if not found:
            return
        lowered = head.lower()
        start = lowered.index(LENGTH) + len(LENGTH)
        size = int(lowered[start:].partition(b"\r")[0])
        if len(rest) >= size and self._answer is not None:
            self._buffer = rest[size:]
            self._answer.set_result((int(head[9:12]), rest[:size]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request and wait for its answer: status and body."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@dataclass
class Result:
    """What a closed loop measured. Latencies are per round, in milliseconds."""

    rounds: int = 0
    duration_s: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.rounds / self.duration_s

    def percentile_ms(self, percent: int) -> float:
        return quantiles(self.latencies_ms, n=100)[percent - 1]


Round = Callable[[Connection], Awaitable[int]]


async def closed_loop(port: int, connections: int, duration_s: float, one_round: Round) -> Result:
    """Have every connection do rounds for the duration; a round returns how many units it did."""
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(connections)]
    result = Result()
    started = time.perf_counter()
    end = started + duration_s

    async def rounds(connection: Connection) -> None:
        while (before := time.perf_counter()) < end:
            # Two steps: `+=` would read the count before the await and write it after, over what others counted.
            done = await one_round(connection)
            result.rounds += done
            result.latencies_ms.append((time.perf_counter() - before) * 1_000)

    await asyncio.gather(*[rounds(connection) for connection in opened])
    result.duration_s = time.perf_counter() - started
    for connection in opened:
        connection.close()
    return result


async def health(connection: Connection) -> int:
    """The ceiling: a route that does nothing."""
    status, _ = await connection.request("GET", "/healthz")
    assert status == 200, status
    return 1


def full_cycle(queue: str, batch: int, delivered: set[int]) -> Round:
    """Enqueue one message `batch` times, receive up to `batch`, ack each; counts what was acked."""

    async def cycle(connection: Connection) -> int:
        for _ in range(batch):
            status, answer = await connection.request("POST", f"/v1/queues/{queue}/messages", b'{"body":{"n":1}}')
            assert status == 201, answer
        asked = json.dumps({"max": batch}).encode()
        status, answer = await connection.request("POST", f"/v1/queues/{queue}:receive", asked)
        assert status == 200, answer
        messages = json.loads(answer)
        for message in messages:
            assert message["id"] not in delivered, f"message {message['id']} was delivered twice"
            delivered.add(message["id"])
            proof = json.dumps({"receipt": message["receipt"]}).encode()
            status, answer = await connection.request("POST", f"/v1/messages/{message['id']}:ack", proof)
            assert status == 200, answer
        return len(messages)

    return cycle
