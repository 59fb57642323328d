"""A real `sqslite` process on a real socket, started and stopped (or killed) by its own id."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

START_S_MAX = 20.0
STOP_S_MAX = 12.0
LOOK_S = 0.05


_given_out: set[int] = set()


def free_port() -> int:
    """A port that nobody has, and that nobody was given before: of two for one server neither listens yet."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given_out:
            _given_out.add(port)
            return port


def environment(database_url: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    ours = {
        "GRPC_PORT",
        "SQS_ACCESS_KEYS",
        "SQS_ANONYMOUS",
        "DATABASE_URL",
        "PORT",
        "SQSLITE_HOST",
        "WORKERS",
        "SWEEPER",
        "LOG_LEVEL",
        "SWEEPER_INTERVAL",
    }
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "DATABASE_URL": database_url, **(extra or {})}


class ServerProcess:
    """`sqslite serve` in a process group of its own; the log goes to a file that failures quote."""

    def __init__(self, database_url: str, log: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._command = [sys.executable, "-m", "sqslite", "serve", "--port", str(self.port), *arguments]
        self._environment = environment(database_url, extra)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, until: str = "/readyz") -> "ServerProcess":
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(self.url + until, timeout=2).status_code == 200:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(LOOK_S)
        self.kill()
        raise AssertionError(f"the server did not start:\n{self.log_text()}")

    def stop(self) -> int:
        """SIGTERM, as an orchestrator sends it; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S_MAX)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL for every process of the server at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def log_text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=5, **options)


@contextlib.contextmanager
def serving(database_url: str, folder: Path, *arguments: str, **extra: str) -> Iterator[ServerProcess]:
    server = ServerProcess(database_url, folder / "server.log", *arguments, extra=extra).start()
    try:
        yield server
    finally:
        server.stop()
