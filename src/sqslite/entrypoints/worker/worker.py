"""Workers: the handlers of messages that a program has, and the process that works on them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue
from sqslite.domain.messages import Accepted, NewMessage
from sqslite.domain.ports import Clock, Entropy
from sqslite.domain.use_cases import Messaging
from sqslite.entrypoints.worker.durations import Duration, milliseconds
from sqslite.entrypoints.worker.handlers import Middleware
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

if TYPE_CHECKING:
    from sqslite.entrypoints.worker.serving import Serving

P = ParamSpec("P")
R = TypeVar("R")

VISIBILITY_S_DEFAULT = limits.VISIBILITY_MS_DEFAULT / limits.SECOND_MS
# Kubernetes kills 30 seconds after SIGTERM.
GRACE_S_DEFAULT = 20.0
GRACE_MS_MAX = limits.VISIBILITY_MS_MAX


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
        # Imported here, because a program may name workers and have none, and asyncio takes long to load.
        from sqslite.entrypoints.worker.connection import Connection

        if concurrency is not None:
            limits.check_range("concurrency", concurrency, 1, CONCURRENCY_MAX)
        if metrics_port is not None:
            limits.check_range("metrics_port", metrics_port, 0, 65_535)
        self._concurrency = concurrency
        self._grace_ms = milliseconds("grace", grace, 0, GRACE_MS_MAX)
        self._middlewares = [*middlewares]
        self._metrics_at = None if metrics_port is None else (metrics_host, metrics_port)
        self._tracing: Tracing = OpenTelemetry() if tracing else Untraced()
        self._clock = clock
        self._entropy = entropy
        self._connection = Connection(target)
        self._tasks: dict[str, TaskOptions] = {}
        self._serving: Serving | None = None

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
        # What works is imported here and below, because a program that only enqueues need not wait for it to load.
        from sqslite.entrypoints.worker.serving import run_until_signalled

        run_until_signalled(self.serve, self.stop)

    def stop(self) -> None:
        """Stop gracefully; said a second time, stop at once. To be called in the loop that serves."""
        if self._serving is not None:
            self._serving.stop()

    async def serve(self) -> None:
        """Work until `stop` is called or this is cancelled, then stop gracefully.

        Raises InvalidValue where there are no tasks, or fewer places than tasks.
        """
        from sqslite.entrypoints.worker.serving import Serving, Setup

        if not self._tasks:
            raise InvalidValue("tasks", 0, "at least one: decorate a function with worker.task(queue=…)")
        if self._concurrency is not None:
            limits.check_range("concurrency", self._concurrency, len(self._tasks), CONCURRENCY_MAX)
        if self._serving is not None:
            raise RuntimeError("this worker serves already")
        setup = Setup(
            tasks=tuple(self._tasks.values()),
            concurrency=self._concurrency,
            grace_ms=self._grace_ms,
            middlewares=tuple(self._middlewares),
            metrics_at=self._metrics_at,
            tracing=self._tracing,
        )
        self._serving = Serving(setup, self._clock, self._entropy)
        try:
            await self._serving.work(self._connection)
        finally:
            self._serving = None
            await self._connection.close()
