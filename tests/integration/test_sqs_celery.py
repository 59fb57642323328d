"""A Celery worker with kombu's SQS transport, unchanged, against a real server: retries, late acks, a killed worker."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.integration.server_process import ServerProcess, serving

APPLICATION = Path(__file__).parent / "sqs_clients" / "celery"
QUEUE = "celery"
WAIT_S_MAX = 60.0
PRODUCE_S_MAX = 60.0
# Nothing here listens to other workers or to remote control.
ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")

Environment = Mapping[str, str]


def until(holds: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@contextlib.contextmanager
def worker(environment: Environment, log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process group of its own, which ends with the block."""
    command = [sys.executable, "-m", "celery", "-A", "app", "worker", "--loglevel", "info", *ALONE, *options]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=APPLICATION, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def produce(environment: Environment, *arguments: str) -> None:
    command = [sys.executable, "produce.py", *arguments]
    subprocess.run(command, cwd=APPLICATION, env=environment, check=True, timeout=PRODUCE_S_MAX)


def held(server: ServerProcess) -> int:
    with server.client() as rest:
        counts = rest.get(f"/v1/queues/{QUEUE}/stats").json()
    return counts["ready"] + counts["delayed"] + counts["in_flight"]


def test_celery_retries_tasks_and_a_killed_workers_task_goes_to_the_next(tmp_path: Path):
    effects, log, marker = tmp_path / "effects", tmp_path / "workers.log", tmp_path / "marker"
    effects.touch()
    with serving(f"sqlite:///{tmp_path}/queues.db", tmp_path) as server:
        names = {"SQS_ENDPOINT": f"127.0.0.1:{server.port}", "TASK_QUEUE": QUEUE, "EFFECTS": str(effects)}
        environment = {**os.environ, **names}
        produce(environment, str(marker))
        with worker(environment, log, "--concurrency", "1") as first:
            until(lambda: first.poll() is not None, log)
        assert effects.read_text() == "survivor began\n"
        assert held(server) == 1
        produce(environment)
        with worker(environment, log, "--pool", "solo"):
            until(lambda: len(effects.read_text().splitlines()) >= 12 and held(server) == 0, log)
    lines = sorted(effects.read_text().splitlines())
    assert lines == [
        *(f"add {number}" for number in range(1, 6)),
        *(f"backed off {retries}" for retries in range(2)),
        *(f"retried {retries}" for retries in range(3)),
        "survivor began",
        "survivor ended",
    ]
