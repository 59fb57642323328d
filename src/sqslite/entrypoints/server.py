"""The server: granian with one or more processes, each serving REST and the SQS API."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import FrameType
from typing import TYPE_CHECKING, Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from litestar.types import ASGIApp
from structlog import get_logger

from sqslite.adapters.metrics_shared import prepare_multiprocess_dir
from sqslite.adapters.wakeups.local import WAITERS_MAX
from sqslite.adapters.wakeups.process import ProcessWakeups
from sqslite.domain.limits import SECOND_MS
from sqslite.entrypoints.container import Container
from sqslite.entrypoints.http.app import create_rest_app
from sqslite.entrypoints.http.reading import ENVELOPE_BYTES_MAX
from sqslite.entrypoints.http.routes import Ports
from sqslite.entrypoints.http.testing import TestingCalls
from sqslite.entrypoints.logs import configure_logging
from sqslite.entrypoints.node import at_work
from sqslite.entrypoints.settings import Settings
from sqslite.entrypoints.sqs.app import SqsApp
from sqslite.entrypoints.sqs.authorizing import REFUSING, UNVERIFIED, authorizing, takes_anybody
from sqslite.entrypoints.sqs.calls import SqsPorts
from sqslite.entrypoints.sqs.front import SqsFront
from sqslite.entrypoints.sqs.second_port import second_port

if TYPE_CHECKING:
    from sqslite.entrypoints.grpc.server import GrpcServer

HEADER_BYTES_MAX = 64 * 1024
# Twice as many as may be parked, so that there is always room for calls that are answered at once.
REQUESTS_AT_ONCE_MAX = 2 * WAITERS_MAX
STOP_S_MAX = 8
PARENT_LOOK_S = 1.0
# Allocations between two looks for garbage that refers to itself. Requests leave hardly any, and to look as often as
# Python does by itself takes a sixth of the server's time.
ALLOCATIONS_PER_LOOK = 20_000
# A JSON string may spell one byte of a text body in six characters (\u00e9).
JSON_BYTES_PER_BODY_BYTE = 6

# Entered while the application serves, and given what is to be done before it stops: parked polls are answered.
Around = Callable[[Sequence[Callable[[], None]]], AbstractAsyncContextManager[None]]

log = get_logger()


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then stop accepting, finish what runs, and return within 10 s."""
    shared = prepare_multiprocess_dir() if settings.workers > 1 else contextlib.nullcontext()
    with shared:
        Granian(
            "sqslite.entrypoints.server:create_app",
            factory=True,
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=REQUESTS_AT_ONCE_MAX,
            http1_settings=HTTP1Settings(
                # It counts from the end of one request to the headers of the next, so it bounds idle time, too.
                header_read_timeout=settings.keep_alive_timeout_s * SECOND_MS,
                max_buffer_size=HEADER_BYTES_MAX,
            ),
            workers_kill_timeout=STOP_S_MAX,
            respawn_failed_workers=settings.database_url.technology != "memory",
            # Its own lines, such as that of a worker started anew, go through our logging.
            log_level=LogLevels(settings.log_level),
            log_dictconfig={"loggers": {"_granian": {"propagate": True}}},
        ).serve()


def create_app() -> ASGIApp:
    """The application of one worker process, from the environment that `sqslite serve` prepared."""
    settings = Settings.from_environment(os.environ)
    configure_logging(settings.log_level)
    return application(Container(settings=settings), in_worker_process)


def application(container: Container, around: Around) -> ASGIApp:
    """The node of the container as an ASGI application, at work as long as that lives, with `around` around it."""
    settings = container.settings()
    ports = Ports(
        service=container.service(),
        administration=container.administration(),
        inspection=container.inspection(),
        redriving=container.redriving(),
        exposition=container.exposition(),
        ping=container.backend().ping,
        request_bytes_max=settings.body_bytes_max * JSON_BYTES_PER_BODY_BYTE + ENVELOPE_BYTES_MAX,
    )
    wakeups: ProcessWakeups = container.wakeups()
    grpc = _grpc_server(settings, container) if settings.grpc_port else None

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        before_stopping = (*((grpc.begin_to_end,) if grpc else ()), wakeups.release_waiters)
        async with at_work(container), _serving_grpc(grpc, settings), around(before_stopping):
            if settings.testing:
                log.warning("testing", meaning="whoever can call this server can move its time and empty it")
            if not settings.sqs_access_keys:
                log.warning("sqs_unverified", meaning=UNVERIFIED if takes_anybody(settings) else REFUSING)
            log.info("serving", host=settings.host, port=settings.port, database=str(settings.database_url))
            async with _beside(settings):
                yield
        log.info("stopped")

    answered = container.metrics().http_answered
    sqs = SqsApp(
        _sqs_ports(container, settings), answered, ports.request_bytes_max, authorizing(settings, container.clock())
    )
    testing = container.testing() if settings.testing else None
    return create_rest_app(
        ports, lifespan, answered, beside=lambda rest: TestingCalls(SqsFront(sqs, otherwise=rest), testing)
    )


@contextlib.asynccontextmanager
async def in_worker_process(before_stopping: Sequence[Callable[[], None]]) -> AsyncIterator[None]:
    """Answer parked polls when the process is told to end, and end it when the server that started it is gone.

    Garbage that refers to itself is looked for more rarely than by default, and what is there by now is left out.
    """
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_PER_LOOK)
    _before_stopping(*before_stopping)
    watch = asyncio.create_task(_stop_when_orphaned(os.getppid()), name="orphan watch")
    try:
        yield
    finally:
        watch.cancel()


def _sqs_ports(container: Container, settings: Settings) -> SqsPorts:
    return SqsPorts(
        service=container.service(),
        administration=container.administration(),
        directory=container.directory(),
        inspection=container.inspection(),
        redriving=container.redriving(),
        clock=container.clock(),
        defaults=settings.defaults,
        strict_timing=settings.sqs_strict_timing,
        account=settings.sqs_account,
    )


def _beside(settings: Settings) -> contextlib.AbstractAsyncContextManager[None]:
    if not settings.sqs_port:
        return contextlib.nullcontext()
    return second_port(settings.host, settings.sqs_port, settings.port)


def _grpc_server(settings: Settings, container: Container) -> "GrpcServer":
    # Imported here, because its libraries are an extra; and in the worker, because they do not survive a fork.
    from sqslite.entrypoints.grpc.calls import Ports
    from sqslite.entrypoints.grpc.server import GrpcServer
    from sqslite.entrypoints.grpc.sizes import BodySizes
    from sqslite.entrypoints.grpc.underway import Underway

    ports = Ports(
        service=container.service(),
        administration=container.administration(),
        inspection=container.inspection(),
        redriving=container.redriving(),
        clock=container.clock(),
        underway=Underway(),
        sizes=BodySizes(),
        receive_max=settings.receive_max,
    )
    return GrpcServer(
        ports,
        container.metrics().grpc_answered,
        body_bytes_max=settings.body_bytes_max,
        calls_at_once_max=REQUESTS_AT_ONCE_MAX,
        idle_s_max=settings.keep_alive_timeout_s,
    )


@contextlib.asynccontextmanager
async def _serving_grpc(grpc: "GrpcServer | None", settings: Settings) -> AsyncIterator[None]:
    if grpc is None:
        yield
        return
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    await grpc.open(f"{host}:{settings.grpc_port}", shared=settings.workers > 1)
    try:
        log.info("serving_grpc", host=settings.host, port=settings.grpc_port)
        yield
    finally:
        await grpc.close()


def _before_stopping(*steps: Callable[[], None]) -> None:
    """Have parked polls answered on SIGTERM, before granian, whose handler this one passes on to, waits for them."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        inherited = signal.getsignal(number)

        def stop(signum: int, frame: FrameType | None, inherited: Any = inherited) -> None:
            for step in steps:
                loop.call_soon_threadsafe(step)
            if callable(inherited):
                inherited(signum, frame)

        signal.signal(number, stop)


async def _stop_when_orphaned(parent_id: int) -> None:
    """End this worker when the process that started it was killed, so that no half of a server stays behind."""
    while os.getppid() == parent_id:  # noqa: ASYNC110  nothing tells a process that its parent is gone
        await asyncio.sleep(PARENT_LOOK_S)
    log.warning("orphaned")
    os.kill(os.getpid(), signal.SIGTERM)
