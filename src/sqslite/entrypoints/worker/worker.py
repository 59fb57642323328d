"""Workers: handlers of messages in one process, kept fed, kept alive and stopped gracefully."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

from sqslite.adapters.clock import SystemClock
from sqslite.adapters.entropy import SystemEntropy
from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue
from sqslite.domain.messages import Accepted, NewMessage
from sqslite.domain.ports import Clock, Entropy
from sqslite.domain.use_cases import Messaging
from sqslite.entrypoints.worker.calling import Middleware
from sqslite.entrypoints.worker.connection import Connection
from sqslite.entrypoints.worker.consumer import CLEAN_UP_MS, Consumer, Surroundings
from sqslite.entrypoints.worker.durations import Duration, milliseconds
from sqslite.entrypoints.worker.heartbeats import BEATS_PER_LEASE, Heartbeats
from sqslite.entrypoints.worker.observing import NobodyWatches, WorkerObserver
from sqslite.entrypoints.worker.settling import Settling
from sqslite.entrypoints.worker.slots import Slots
from sqslite.entrypoints.worker.task import (
    CONCURRENCY_DEFAULT,
    CONCURRENCY_MAX,
    Task,
    TaskOptions,
    accepted,
    options_of,
)
from sqslite.entrypoints.worker.tracing import OpenTelemetry, Tracing, Untraced
from sqslite.entrypoints.worker.verdicts import OnUndecodable

P = ParamSpec("P")
R = TypeVar("R")

VISIBILITY_S_DEFAULT = limits.VISIBILITY_MS_DEFAULT / limits.SECOND_MS
# Kubernetes kills 30 seconds after SIGTERM.
GRACE_S_DEFAULT = 20.0
GRACE_MS_MAX = limits.VISIBILITY_MS_MAX
# After the grace: handlers clean up, and their messages are given back.
FAREWELL_MS = CLEAN_UP_MS + 2 * limits.SECOND_MS

log = logging.getLogger("sqslite.worker")


class Worker:
    """The tasks of a program, and the process that works on them.

    `target` is the server's URL, or anything that is `Messaging`: a client, or the service in this process.
    `concurrency` limits the handlers of all tasks together (None: each task has its own limit only); a task that waits
    for messages takes one of these places, so it is at least the number of tasks. `grace` is how long handlers may go
    on once the worker is told to stop. `metrics_port` None: no metrics. `tracing` needs the extra `otel`.
    Raises InvalidValue where a value is outside its limits.
    """

    def __init__(
        self,
        target: str | Messaging,
        *,
        concurrency: int | None = None,
        grace: Duration = GRACE_S_DEFAULT,
        middlewares: Sequence[Middleware] = (),
        metrics_port: int | None = None,
        metrics_host: str = "127.0.0.1",
        tracing: bool = False,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        if concurrency is not None:
            limits.check_range("concurrency", concurrency, 1, CONCURRENCY_MAX)
        if metrics_port is not None:
            limits.check_range("metrics_port", metrics_port, 0, 65_535)
        self._concurrency = concurrency
        self._grace_ms = milliseconds("grace", grace, 0, GRACE_MS_MAX)
        self._middlewares = [*middlewares]
        self._metrics_at = None if metrics_port is None else (metrics_host, metrics_port)
        self._tracing: Tracing = OpenTelemetry() if tracing else Untraced()
        self._clock: Clock = clock or SystemClock()
        self._entropy: Entropy = entropy or SystemEntropy()
        self._connection = Connection(target)
        self._tasks: dict[str, TaskOptions] = {}
        self._stopping: asyncio.Event | None = None
        self._hurrying: asyncio.Event | None = None

    def task(
        self,
        *,
        queue: str,
        concurrency: int = CONCURRENCY_DEFAULT,
        visibility: Duration = VISIBILITY_S_DEFAULT,
        timeout: Duration | None = None,
        batch: int = 0,
        ordered: bool = True,
        on_undecodable: OnUndecodable = "reject",
    ) -> Callable[[Callable[P, R]], Task[P, R]]:
        """Make a function the handler of a queue's messages.

        `concurrency` is how many of its calls run at once here. `visibility` is the lease, which is extended for as
        long as the handler runs; it is how long a message is away when this process dies. `timeout` (None: none) ends
        a handler. `batch` gives the handler a list of up to so many messages. `ordered` False takes several messages
        of a group at once, for queues that are fair rather than FIFO. `on_undecodable` says what becomes of a message
        whose body the handler cannot take. Raises InvalidValue, and TypeError for a function that cannot be a handler.
        """

        def registered(function: Callable[P, R]) -> Task[P, R]:
            options = options_of(
                function,
                queue,
                concurrency=concurrency,
                visibility=visibility,
                timeout=timeout,
                batch=batch,
                ordered=ordered,
                on_undecodable=on_undecodable,
            )
            if queue in self._tasks:
                raise InvalidValue("queue", queue, "a queue that has no task in this worker yet")
            self._tasks[queue] = options
            return Task(function, options, self)

        return registered

    def middleware(self, function: Middleware) -> Middleware:
        """Call the function around every handler; the first that was added is the outermost."""
        self._middlewares.append(function)
        return function

    async def put(self, queue: str, message: NewMessage) -> Accepted:
        """Enqueue a message. Raises the refusal."""
        return accepted(await self._connection.enqueue(queue, self._tracing.sending(queue, message)))

    def put_blocking(self, queue: str, message: NewMessage) -> Accepted:
        """Enqueue a message from a program that does not await. Raises the refusal."""
        return accepted(self._connection.enqueue_blocking(queue, self._tracing.sending(queue, message)))

    async def close(self) -> None:
        """Close the connections that enqueueing has opened; they open again when they are needed."""
        await self._connection.close()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then stop gracefully; a second one stops at once."""
        if not logging.getLogger().handlers:
            # Imported here, because a program that only enqueues needs nothing of it.
            from sqslite.entrypoints.logs import configure_logging

            configure_logging("info")
        asyncio.run(self._serve_until_signalled())

    def stop(self) -> None:
        """Stop gracefully; said a second time, stop at once. To be called in the loop that serves."""
        if self._stopping is None or self._hurrying is None:
            return
        (self._hurrying if self._stopping.is_set() else self._stopping).set()

    async def serve(self) -> None:
        """Work until `stop` is called or this is cancelled, then stop gracefully.

        Raises InvalidValue where there are no tasks, or fewer places than tasks.
        """
        if not self._tasks:
            raise InvalidValue("tasks", 0, "at least one: decorate a function with worker.task(queue=…)")
        if self._concurrency is not None:
            limits.check_range("concurrency", self._concurrency, len(self._tasks), CONCURRENCY_MAX)
        if self._stopping is not None:
            raise RuntimeError("this worker serves already")
        self._stopping, self._hurrying = asyncio.Event(), asyncio.Event()
        try:
            with self._observed() as observer:
                await self._work(await self._surroundings(observer))
        finally:
            self._stopping = self._hurrying = None
            await self._connection.close()

    async def _serve_until_signalled(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.serve()

    @contextlib.contextmanager
    def _observed(self) -> Iterator[WorkerObserver]:
        if self._metrics_at is None:
            yield NobodyWatches()
            return
        # Imported here, because a worker without metrics needs nothing of it.
        from sqslite.entrypoints.worker.metrics import WorkerMetrics

        metrics = WorkerMetrics()
        server = metrics.serve(*self._metrics_at)
        log.info("metrics at http://%s:%d/metrics", *server.server_address[:2])
        try:
            yield metrics
        finally:
            server.shutdown()
            server.server_close()

    async def _surroundings(self, observer: WorkerObserver) -> Surroundings:
        messaging = await self._connection.open()
        shortest_ms = min(options.visibility_ms for options in self._tasks.values())
        return Surroundings(
            messaging=messaging,
            clock=self._clock,
            entropy=self._entropy,
            observer=observer,
            tracing=self._tracing,
            heartbeats=Heartbeats(messaging, self._clock, observer, shortest_ms // BEATS_PER_LEASE),
            settling=Settling(messaging, self._clock, self._entropy, observer),
            middlewares=tuple(self._middlewares),
            slots=None if self._concurrency is None else Slots(self._concurrency),
        )

    async def _work(self, shared: Surroundings) -> None:
        assert self._stopping is not None
        consumers = [Consumer(options, shared) for options in self._tasks.values()]
        beating = asyncio.create_task(shared.heartbeats.run(), name="heartbeats")
        claiming = [asyncio.create_task(consumer.run(), name="claiming") for consumer in consumers]
        stopping = asyncio.create_task(self._stopping.wait())
        log.info("worker started: queues=%s", ",".join(self._tasks))
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
        assert self._hurrying is not None
        finishing = asyncio.create_task(_finished(consumers))
        hurrying = asyncio.create_task(self._hurrying.wait())
        await self._at_most(self._grace_ms, {finishing, hurrying})
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
    await clock.sleep_until(clock.now() + limits.ms(duration_ms))
