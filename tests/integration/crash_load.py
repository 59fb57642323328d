"""Load that survives a server's death, and keeps the books: what was promised, what was done, what is unknown."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

PRODUCERS = 4
CONSUMERS = 4
LEASE_MS = 1_000
PAUSE_S = 0.02
DRAINED_EMPTY_S = 2.5


@dataclass
class Books:
    """Ids by what the server said of them; `doubtful` acks got no answer."""

    enqueued: set[int] = field(default_factory=set)
    acked: set[int] = field(default_factory=set)
    doubtful: set[int] = field(default_factory=set)
    returned_after_ack: set[int] = field(default_factory=set)

    def lost(self) -> set[int]:
        return self.enqueued - self.acked - self.doubtful


class Load:
    """Producers and consumers against one queue until told to stop; refused calls are tried again."""

    def __init__(self, url: Callable[[], str], queue: str) -> None:
        self._url = url
        self._queue = queue
        self._stop = False
        self.books = Books()

    async def run_during(self, disturb: Callable[[], None]) -> None:
        """Run while `disturb` (blocking, in a thread) does its worst, then consume what is left."""
        async with httpx.AsyncClient(timeout=5) as client:
            producers = [asyncio.create_task(self._produce(client)) for _ in range(PRODUCERS)]
            consumers = [asyncio.create_task(self._consume(client)) for _ in range(CONSUMERS)]
            try:
                await asyncio.to_thread(disturb)
                self._stop = True
                await asyncio.gather(*producers, *consumers)
                await self._drain(client)
            finally:
                for task in (*producers, *consumers):
                    task.cancel()

    async def _produce(self, client: httpx.AsyncClient) -> None:
        while not self._stop:
            answer = await self._post(client, f"/v1/queues/{self._queue}/messages", {"body": 1})
            if answer is not None and answer.status_code == 201:
                self.books.enqueued.add(answer.json()["id"])

    async def _consume(self, client: httpx.AsyncClient) -> None:
        while not self._stop:
            await self._consume_once(client)

    async def _consume_once(self, client: httpx.AsyncClient) -> int:
        acked_before = set(self.books.acked)
        body = {"max": 10, "visibility_ms": LEASE_MS}
        answer = await self._post(client, f"/v1/queues/{self._queue}:receive", body)
        if answer is None or answer.status_code != 200:
            return 0
        messages = answer.json()
        for message in messages:
            if message["id"] in acked_before:
                self.books.returned_after_ack.add(message["id"])
            await self._ack(client, message)
        return len(messages)

    async def _ack(self, client: httpx.AsyncClient, message: dict) -> None:
        answer = await self._post(client, f"/v1/messages/{message['id']}:ack", {"receipt": message["receipt"]})
        if answer is not None and answer.status_code == 200:
            self.books.acked.add(message["id"])
        elif answer is None or answer.status_code >= 500:
            self.books.doubtful.add(message["id"])
        else:
            assert answer.status_code in (404, 409), answer.text

    async def _drain(self, client: httpx.AsyncClient) -> None:
        quiet_since = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < quiet_since + DRAINED_EMPTY_S:
            if await self._consume_once(client):
                quiet_since = asyncio.get_running_loop().time()
            else:
                await asyncio.sleep(PAUSE_S)

    async def _post(self, client: httpx.AsyncClient, path: str, body: dict) -> httpx.Response | None:
        """The answer, or None where none came; a server that is away is waited for a little."""
        with contextlib.suppress(httpx.HTTPError):
            answer = await client.post(self._url() + path, json=body)
            assert answer.status_code < 500 or answer.status_code == 503, answer.text
            if answer.status_code == 503:
                assert "retry-after" in answer.headers
                await asyncio.sleep(PAUSE_S)
            return answer
        await asyncio.sleep(PAUSE_S)
        return None
