"""The REST application in this process, over a memory store and a clock that the test moves."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx
from litestar.types import ASGIApp

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.entropy import SeededEntropy
from sqslite.adapters.metrics import Exposition, PrometheusMetrics
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.domain.administration import QueueAdministration
from sqslite.domain.directory import QueueDirectory
from sqslite.domain.in_flight import InFlight
from sqslite.domain.inspection import QueueInspection
from sqslite.domain.ports import Store
from sqslite.domain.queues import Defaults
from sqslite.domain.redriving import Redriving
from sqslite.domain.service import QueueService
from sqslite.domain.sweep import Sweep
from sqslite.domain.tally import Tally
from sqslite.entrypoints.http.app import create_rest_app
from sqslite.entrypoints.http.routes import Ports

REQUEST_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 4 * 1024


async def always_there() -> None:
    """A store that answers."""


@dataclass
class Rest:
    """What a test speaks to; `answered` lists what the metrics were told."""

    app: ASGIApp
    client: httpx.AsyncClient
    clock: VirtualClock
    sweep: Sweep
    redriving: Redriving
    answered: list[tuple[str, str, int]] = field(default_factory=list)

    async def enqueue(self, queue: str = "orders", **fields: object) -> int:
        answer = await self.client.post(f"/v1/queues/{queue}/messages", json={"body": 1, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def receive(self, queue: str = "orders", **fields: object) -> list[dict]:
        answer = await self.client.post(f"/v1/queues/{queue}:receive", json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, content: bytes, **headers: str) -> httpx.Response:
        return await self.client.post(path, content=content, headers=headers)


@contextlib.asynccontextmanager
async def rest(
    decorate: Callable[[Store], Store] = lambda store: store,
    ping: Callable[[], Awaitable[None]] = always_there,
    *,
    retention_forever: bool = False,
    body_bytes_max: int = BODY_BYTES_MAX,
    request_bytes_max: int = REQUEST_BYTES_MAX,
) -> AsyncIterator[Rest]:
    clock = VirtualClock()
    backend = MemoryBackend(clock)
    store = decorate(backend.store)
    metrics = PrometheusMetrics(clock)
    wakeups = LocalWakeups(clock)
    directory = QueueDirectory(backend.catalog, clock)
    tally = Tally(backend.stats, clock)
    defaults = Defaults(body_bytes_max=body_bytes_max, retention_forever=retention_forever)
    sweep = Sweep(store, directory, clock, SeededEntropy(), metrics, wakeups, tally, defaults, 60_000)
    service = QueueService(
        store,
        directory,
        sweep,
        clock,
        SeededEntropy(),
        metrics,
        wakeups,
        tally,
        InFlight(backend.stats, clock),
        defaults,
    )
    administration = QueueAdministration(backend.catalog, directory, wakeups, tally, defaults)
    redriving = Redriving(backend.redrives, backend.stats, administration, directory, clock, metrics, wakeups, defaults)
    ports = Ports(
        service=service,
        administration=administration,
        inspection=QueueInspection(backend.stats, administration, tally, defaults),
        redriving=redriving,
        exposition=Exposition(metrics, backend.catalog, backend.stats, clock),
        ping=ping,
        request_bytes_max=request_bytes_max,
    )
    answered: list[tuple[str, str, int]] = []
    app = create_rest_app(
        ports, contextlib.nullcontext, lambda method, route, status, _s: answered.append((method, route, status))
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://sqslite") as client:
        yield Rest(app, client, clock, sweep, redriving, answered)
