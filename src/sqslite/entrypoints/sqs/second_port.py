"""A port of its own for the SQS API, for clients that expect one: what comes there is passed on to the first."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from structlog import get_logger

CONNECTIONS_MAX = 4_096
CHUNK_BYTES_MAX = 64 * 1024

log = get_logger()


@contextlib.asynccontextmanager
async def second_port(host: str, port: int, first_port: int) -> AsyncIterator[None]:
    """Listen on `port` while inside. Every process of a server may, the kernel deals out the connections."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            if len(connections) <= CONNECTIONS_MAX:
                await _pass_on(reader, writer, host, first_port)
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, host, port, limit=CHUNK_BYTES_MAX, reuse_port=True)
    log.info("serving_sqs", host=host, port=port)
    try:
        yield
    finally:
        server.close()
        for task in connections:
            task.cancel()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, first_port: int) -> None:
    with contextlib.suppress(OSError):
        onward_reader, onward_writer = await asyncio.open_connection(_reachable(host), first_port)
        try:
            ways = [
                asyncio.create_task(_copy(reader, onward_writer)),
                asyncio.create_task(_copy(onward_reader, writer)),
            ]
            # Whoever hangs up first ends both, so that a long poll learns that its client is gone.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        finally:
            onward_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES_MAX):
            writer.write(chunk)
            await writer.drain()


def _reachable(host: str) -> str:
    """An address at which a server is reached that listens on this one."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
