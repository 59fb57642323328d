"""Servers that do nothing, to show what is left for those that do: `python -m benchmarks.bare_servers KIND PORT`."""

import asyncio
import sys
from typing import cast

import uvloop
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from litestar import Litestar, Response, post
from litestar.types import ASGIApp

ANSWER = b'{"id":1234567}'
RAW_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)


def application() -> ASGIApp:
    """Litestar with one route, which answers every POST with the same bytes."""

    @post("/{anything:path}", status_code=200)
    async def nothing() -> Response[bytes]:
        return Response(ANSWER, media_type="application/json")

    return Litestar([nothing], openapi_config=None, logging_config=None)


class RawAnswers(asyncio.Protocol):
    """Answers whatever ends with a whole request, without looking at more than its length."""

    def __init__(self) -> None:
        self._missing = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            data = self._head + data
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._head = data
                return
            self._head = b""
            self._missing = int(head[head.index(b"content-length:") + 15 :].split(b"\r", 1)[0])
            data = rest
        self._missing -= len(data)
        if not self._missing:
            self._transport.write(RAW_ANSWER)


async def _raw(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(RawAnswers, "127.0.0.1", port)
    await server.serve_forever()


def main(kind: str, port: int) -> None:
    """Serve until a signal comes."""
    if kind == "raw":
        uvloop.run(_raw(port))
    else:
        Granian(
            "benchmarks.bare_servers:application",
            factory=True,
            port=port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
        ).serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
