"""A server in the test's own process: real HTTP on a free port of the loopback address, in memory."""

import contextlib
import socket
import time
from collections.abc import Iterator

from anyio.from_thread import start_blocking_portal
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from sqslite.adapters.client.connections import Connections, Options
from sqslite.adapters.entropy import SystemEntropy
from sqslite.entrypoints.container import Container
from sqslite.entrypoints.server import application
from sqslite.entrypoints.testing.testbed import IN_MEMORY, Testbed

HOST = "127.0.0.1"
START_S_MAX = 10.0
LOOK_EVERY_S = 0.002


class ServedTestbed(Testbed):
    """A testbed that any program can reach over HTTP, at `url`; its `client` does, too."""

    url: str


@contextlib.contextmanager
def served_testbed() -> Iterator[ServedTestbed]:
    """A server for the time of the block. Raises TimeoutError where it does not start."""
    container = Container(settings=IN_MEMORY)
    port = _free_port()
    with start_blocking_portal() as portal:
        app = application(container, lambda _answer_waiters: contextlib.nullcontext())

        def build() -> Server:
            return Server(
                app,
                address=HOST,
                port=port,
                interface=Interfaces.ASGI,
                http=HTTPModes.http1,
                websockets=False,
                log_enabled=False,
            )

        server = portal.call(build)
        running = portal.start_task_soon(server.serve)
        try:
            _await_listening(port)
            with contextlib.closing(Connections(f"http://{HOST}:{port}", Options(), SystemEntropy())) as way:
                bed = ServedTestbed(portal, container, way)
                bed.url = f"http://{HOST}:{port}"
                yield bed
        finally:
            portal.call(container.wakeups().release_waiters)
            portal.call(server.stop)
            running.result()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _await_listening(port: int) -> None:
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"the server did not listen at {HOST}:{port} within {START_S_MAX:g} s")
