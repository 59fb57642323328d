"""What is compared, and how each is started."""

import contextlib
import importlib.util
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psycopg

from benchmarks.servers import Postgres, ProcessTree, Server, ask, free_port, running, sqslite
from benchmarks.sql_loops import BARE_TABLE
from benchmarks.sqs_flows import SQS_BATCH_MAX, create_queue

# beanstalkd knows no batches and syncs for each command; more at a time would only make the cycle longer.
PIPELINED = 10
SINGLE_QUEUE, BATCH_QUEUE = "bench-single", "bench-batch"


class NotThere(Exception):
    """What would be compared is not installed; says what would bring it."""


@dataclass(frozen=True)
class Surroundings:
    """What contenders share: a folder on a disk, and a PostgreSQL."""

    folder: Path
    postgres: Postgres


@dataclass(frozen=True)
class Target:
    """A contender that runs: where its driver calls, and whose CPU time is to be told apart."""

    address: str
    server: ProcessTree | None = None
    postgres: ProcessTree | None = None


@dataclass(frozen=True)
class Contender:
    """A row of the table. `batch_max`: as many as it takes at a time; where nothing is kept, nothing can be checked."""

    key: str
    name: str
    flow: str
    start: Callable[[Surroundings], AbstractContextManager[Target]]
    batch_max: int = 1_000
    keeps: bool = True
    warm_up_s: float = 1.0


@contextlib.contextmanager
def _raw(_around: Surroundings) -> Iterator[Target]:
    with _bare_server("raw") as server:
        yield Target(str(server.port), server.tree)


@contextlib.contextmanager
def _litestar(_around: Surroundings) -> Iterator[Target]:
    with _bare_server("litestar") as server:
        yield Target(str(server.port), server.tree)


@contextlib.contextmanager
def memory(_around: Surroundings) -> Iterator[Target]:
    """One sqslite in memory."""
    with sqslite("memory://") as server:
        yield Target(str(server.port), server.tree)


@contextlib.contextmanager
def sqlite(around: Surroundings) -> Iterator[Target]:
    """One sqslite on SQLite."""
    with sqslite(f"sqlite:///{around.folder / 'bench.db'}") as server:
        yield Target(str(server.port), server.tree)


def on_postgres(workers: int) -> Callable[[Surroundings], AbstractContextManager[Target]]:
    """Start an sqslite with so many workers on PostgreSQL."""

    @contextlib.contextmanager
    def start(around: Surroundings) -> Iterator[Target]:
        url = around.postgres.fresh_database(f"bench_{workers}")
        with sqslite(url, workers) as server:
            yield Target(str(server.port), server.tree, around.postgres.tree)

    return start


@contextlib.contextmanager
def _beanstalkd(around: Surroundings) -> Iterator[Target]:
    program = shutil.which("beanstalkd")
    if program is None:
        raise NotThere("no program beanstalkd (on Debian: apt install beanstalkd)")
    log = around.folder / "beanstalkd"
    log.mkdir()
    port = free_port()
    # Bodies of its clients are small; -z only lets more than 64 KiB in.
    server = Server([program, "-l", "127.0.0.1", "-p", port, "-b", log, "-f0"], port)
    with running(server):
        yield Target(str(port), server.tree)


@contextlib.contextmanager
def moto(_around: Surroundings) -> Iterator[Target]:
    """The server of moto, with the queues."""
    if importlib.util.find_spec("moto") is None:
        raise NotThere("moto is not installed (dependency group bench)")
    port = free_port()
    server = Server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port], port)
    with running(server):
        create_queues(port, (SINGLE_QUEUE, BATCH_QUEUE))
        yield Target(str(port), server.tree)


@contextlib.contextmanager
def _bare_psycopg(around: Surroundings) -> Iterator[Target]:
    url = around.postgres.fresh_database("bench_bare")
    with psycopg.connect(url) as connection:
        connection.execute(BARE_TABLE)
    yield Target(url, None, around.postgres.tree)


@contextlib.contextmanager
def _pgmq(around: Surroundings) -> Iterator[Target]:
    package = importlib.util.find_spec("pgmq")
    if package is None or package.origin is None:
        raise NotThere("pgmq, which brings its SQL, is not installed (dependency group bench)")
    url = around.postgres.fresh_database("bench_pgmq")
    with psycopg.connect(url) as connection:
        connection.execute((Path(package.origin).parent / "sql" / "pgmq.sql").read_bytes())
        for queue in (SINGLE_QUEUE, BATCH_QUEUE):
            connection.execute("SELECT pgmq.create(%s)", [queue])
    yield Target(url, None, around.postgres.tree)


CONTENDERS = (
    Contender("raw", "raw sockets (the driver's ceiling)", "nothing", _raw, keeps=False),
    Contender("litestar", "Litestar, doing nothing (the ceiling)", "nothing", _litestar, keeps=False),
    Contender("memory", "sqslite, memory", "rest", memory),
    Contender("sqlite", "sqslite, SQLite", "rest", sqlite),
    Contender("postgres", "sqslite, PostgreSQL", "rest", on_postgres(1)),
    Contender("postgres-2", "sqslite, PostgreSQL, 2 workers", "rest", on_postgres(2)),
    Contender("beanstalkd", "beanstalkd -f0", "beanstalk", _beanstalkd, PIPELINED),
    Contender("moto", "moto's server", "sqs", moto, SQS_BATCH_MAX),
    Contender("psycopg", "psycopg, three statements", "bare", _bare_psycopg),
    Contender("pgmq", "psycopg, pgmq's functions", "pgmq", _pgmq),
)


def create_queues(port: int, names: Sequence[str]) -> None:
    """Have an SQS server on that port make these queues."""
    for name in names:
        assert b" 200 " in ask(port, create_queue(name))


def versions(around: Surroundings) -> dict[str, str]:
    """What took part."""
    settings = around.postgres.settings("server_version", "fsync", "synchronous_commit", "shared_buffers")
    number = settings.pop("server_version")
    told = {f"PostgreSQL {number}": ", ".join(f"{name} {value}" for name, value in settings.items())}
    found = {"Python": sys.version.split()[0], "SQLite": sqlite3.sqlite_version}
    for package in ("granian", "litestar", "uvloop", "psycopg", "moto", "pgmq"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    if program := shutil.which("beanstalkd"):
        said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stdout.split()
        found["beanstalkd"] = said[-1] if said else "?"
    return {**told, **dict(found)}


def _bare_server(kind: str) -> AbstractContextManager[Server]:
    port = free_port()
    return running(Server([sys.executable, "-m", "benchmarks.bare_servers", kind, port], port))
