"""What goes on unasked: sweeping, redriving, handing over counts; in the server or in a process of its own."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector
from structlog import get_logger

from sqslite.domain.errors import SqsliteError

Run = Callable[[], Coroutine[Any, Any, None]]

log = get_logger()


@contextlib.asynccontextmanager
async def in_background(*runs: Run) -> AsyncIterator[None]:
    """Let all of them run for as long as the block does."""
    tasks = [asyncio.create_task(run(), name=run.__qualname__) for run in runs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def showing_metrics(metrics: Collector, host: str, port: int) -> Iterator[None]:
    """Show them at `http://host:port/metrics` from a thread, for the time of the block."""
    registry = CollectorRegistry()
    registry.register(metrics)
    server, _ = start_http_server(port, host, registry=registry)
    log.info("metrics", host=host, port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


async def hand_over(flush: Callable[[], Awaitable[None]]) -> None:
    """Hand the last counts over, if the store takes them: a process that ends has no second try."""
    with contextlib.suppress(SqsliteError):
        await flush()


async def sweep_until_told_to_stop(*runs: Run) -> None:
    """Let all of them run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with in_background(*runs):
        log.info("sweeper_started")
        await stop.wait()
    log.info("sweeper_stopped")
