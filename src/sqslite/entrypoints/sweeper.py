"""The sweeper as a process of its own, and as a task inside the server: the same use case, started differently."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

from structlog import get_logger

from sqslite.domain.sweep import Sweep

log = get_logger()


@contextlib.asynccontextmanager
async def sweeping(sweep: Sweep) -> AsyncIterator[None]:
    """Sweep in the background for as long as the block runs."""
    task = asyncio.create_task(sweep.run(), name="sweeper")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def sweep_until_told_to_stop(sweep: Sweep) -> None:
    """Sweep until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with sweeping(sweep):
        log.info("sweeper_started")
        await stop.wait()
    log.info("sweeper_stopped")
