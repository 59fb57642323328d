"""A worker at work: its tasks kept fed, their leases kept alive, all of it stopped gracefully."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from sqslite.adapters.clock import SystemClock
from sqslite.adapters.entropy import SystemEntropy
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Clock, Entropy
from sqslite.domain.use_cases import Messaging
from sqslite.entrypoints.worker.connection import Connection
from sqslite.entrypoints.worker.consumer import CLEAN_UP_MS, Consumer, Surroundings
from sqslite.entrypoints.worker.handlers import Middleware
from sqslite.entrypoints.worker.heartbeats import BEATS_PER_LEASE, Heartbeats
from sqslite.entrypoints.worker.observing import NobodyWatches, WorkerObserver
from sqslite.entrypoints.worker.settling import Settling
from sqslite.entrypoints.worker.slots import Slots
from sqslite.entrypoints.worker.task import TaskOptions
from sqslite.entrypoints.worker.tracing import Tracing

# After the grace: handlers clean up, and their messages are given back.
FAREWELL_MS = CLEAN_UP_MS + 2 * SECOND_MS

log = logging.getLogger("sqslite.worker")


def run_until_signalled(serve: Callable[[], Awaitable[None]], stop: Callable[[], None]) -> None:
    """Serve in an event loop of its own; SIGTERM and SIGINT stop it. Logs to stderr, unless logging is set up."""
    if not logging.getLogger().handlers:
        # Imported here, because a program that sees to its logs itself needs nothing of it.
        from sqslite.entrypoints.logs import configure_logging

        configure_logging("info")
    asyncio.run(_serve_until_signalled(serve, stop))


async def _serve_until_signalled(serve: Callable[[], Awaitable[None]], stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await serve()


class Setup(Struct, frozen=True, kw_only=True):
    """What a worker was told, checked; `concurrency` None: the tasks' own, `metrics_at` None: no metrics."""

    tasks: tuple[TaskOptions, ...]
    concurrency: int | None
    grace_ms: int
    middlewares: tuple[Middleware, ...]
    metrics_at: tuple[str, int] | None
    tracing: Tracing


class Serving:
    """One time that a worker works, from its start to its end."""

    def __init__(self, setup: Setup, clock: Clock | None, entropy: Entropy | None) -> None:
        self._setup = setup
        self._clock = clock or SystemClock()
        self._entropy = entropy or SystemEntropy()
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()

    def stop(self) -> None:
        """Stop gracefully; said a second time, stop at once."""
        (self._hurrying if self._stopping.is_set() else self._stopping).set()

    async def work(self, connection: Connection) -> None:
        """Work until `stop` is called or this is cancelled, then stop gracefully."""
        with self._observed() as observer:
            await self._work(self._surroundings(await connection.open(), observer))

    @contextlib.contextmanager
    def _observed(self) -> Iterator[WorkerObserver]:
        if self._setup.metrics_at is None:
            yield NobodyWatches()
            return
        # Imported here, because a worker without metrics needs nothing of it.
        from sqslite.entrypoints.worker.metrics import WorkerMetrics

        metrics = WorkerMetrics()
        server = metrics.serve(*self._setup.metrics_at)
        log.info("metrics at http://%s:%d/metrics", *server.server_address[:2])
        try:
            yield metrics
        finally:
            server.shutdown()
            server.server_close()

    def _surroundings(self, messaging: Messaging, observer: WorkerObserver) -> Surroundings:
        setup = self._setup
        shortest_ms = min(options.visibility_ms for options in setup.tasks)
        return Surroundings(
            messaging=messaging,
            clock=self._clock,
            entropy=self._entropy,
            observer=observer,
            tracing=setup.tracing,
            heartbeats=Heartbeats(messaging, self._clock, observer, shortest_ms // BEATS_PER_LEASE),
            settling=Settling(messaging, self._clock, self._entropy, observer),
            middlewares=setup.middlewares,
            slots=None if setup.concurrency is None else Slots(setup.concurrency),
        )

    async def _work(self, shared: Surroundings) -> None:
        consumers = [Consumer(options, shared) for options in self._setup.tasks]
        beating = asyncio.create_task(shared.heartbeats.run(), name="heartbeats")
        claiming = [asyncio.create_task(consumer.run(), name="claiming") for consumer in consumers]
        stopping = asyncio.create_task(self._stopping.wait())
        log.info("worker started: queues=%s", ",".join(options.queue for options in self._setup.tasks))
        try:
            # The first three never end by themselves, so one that did is a defect, which is told below.
            await asyncio.wait([stopping, beating, *claiming], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            for task in claiming:
                task.cancel()
            ended = await asyncio.gather(*claiming, return_exceptions=True)
            await self._say_farewell(consumers)
            beating.cancel()
            ended += await asyncio.gather(beating, return_exceptions=True)
            log.info("worker stopped")
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _say_farewell(self, consumers: Sequence[Consumer]) -> None:
        """Wait for handlers to end, then tell them to, then leave them."""
        finishing = asyncio.create_task(_finished(consumers))
        hurrying = asyncio.create_task(self._hurrying.wait())
        await self._at_most(self._setup.grace_ms, {finishing, hurrying})
        for consumer in consumers:
            consumer.end()
        await self._at_most(FAREWELL_MS, {finishing})
        finishing.cancel()
        hurrying.cancel()
        await asyncio.gather(finishing, hurrying, return_exceptions=True)
        left = sum([await consumer.abandon() for consumer in consumers])
        if left:
            log.warning("%d messages could not be given back and come back when their leases end", left)

    async def _at_most(self, limit_ms: int, awaited: "set[asyncio.Future[Any]]") -> None:
        """Return once one of them is done, or the time is over."""
        over = asyncio.create_task(_slept(self._clock, limit_ms))
        await asyncio.wait({*awaited, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()


async def _finished(consumers: Sequence[Consumer]) -> None:
    for consumer in consumers:
        await consumer.finish()


async def _slept(clock: Clock, duration_ms: int) -> None:
    await clock.sleep_until(clock.now() + ms(duration_ms))
