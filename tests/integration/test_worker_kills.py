"""Four worker processes are killed and frozen at random: every effect is applied, and none twice."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.integration import effects_worker
from tests.integration.effects_worker import QUEUE, VISIBILITY_S
from tests.integration.server_process import ServerProcess, serving

MESSAGES = int(os.environ.get("WORKER_TEST_MESSAGES", "2000"))
WORKERS = 4
BATCH = 500
# Every start costs a second of imports, so their number is bounded: on a slow machine they would be most of the work.
HARMS_MAX = MESSAGES // 150
PAUSE_S = 0.5
START_S_MAX = 20
STARTED = b"worker started"
FROZEN_SHARE = 0.25
END_S_MAX = 120 + MESSAGES / 10


class Workers:
    """Processes that are started anew when they were killed."""

    def __init__(self, server_url: str, database_url: str, folder: Path) -> None:
        program = [sys.executable, "-m", "tests.integration.effects_worker", server_url, database_url]
        self._logs = [folder / f"worker-{n}.log" for n in range(WORKERS)]
        self._start = lambda log: subprocess.Popen(program, stdout=log.open("ab"), stderr=subprocess.STDOUT)
        self.processes = [self._start(log) for log in self._logs]
        self._starts = [1] * WORKERS
        self.thaw_at: dict[int, float] = {}
        self.kills = self.freezes = 0

    def harm_one(self) -> None:
        """Kill one and start another in its place, or freeze it for longer than its leases last."""
        place = random.randrange(WORKERS)
        if self.kills + self.freezes == HARMS_MAX or place in self.thaw_at or not self._at_work(place):
            return
        process = self.processes[place]
        if random.random() < FROZEN_SHARE:
            process.send_signal(signal.SIGSTOP)
            self.thaw_at[place] = time.monotonic() + VISIBILITY_S * 1.5
            self.freezes += 1
            return
        process.kill()
        process.wait()
        self.processes[place] = self._start(self._logs[place])
        self._starts[place] += 1
        self.kills += 1

    def thaw(self, *, all_of_them: bool = False) -> None:
        for place, thaw_at in list(self.thaw_at.items()):
            if all_of_them or thaw_at <= time.monotonic():
                self.processes[place].send_signal(signal.SIGCONT)
                del self.thaw_at[place]

    def stop(self) -> list[int]:
        """SIGTERM; their exit codes."""
        self.thaw(all_of_them=True)
        until(lambda: all(map(self._at_work, range(WORKERS))), START_S_MAX)
        for process in self.processes:
            process.terminate()
        return [process.wait(15) for process in self.processes]

    def _at_work(self, place: int) -> bool:
        """Whether it is past its imports: one that is killed before that shows nothing."""
        return self._logs[place].read_bytes().count(STARTED) == self._starts[place]

    def log_text(self) -> str:
        return "\n".join(log.read_text(errors="replace")[-3_000:] for log in self._logs)


def until(condition: Callable[[], bool], seconds_max: float) -> None:
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def working(server: ServerProcess, database_url: str, folder: Path) -> Iterator[Workers]:
    workers = Workers(server.url, database_url, folder)
    try:
        yield workers
    finally:
        for process in workers.processes:
            process.kill()
            process.wait()


def left(client: httpx.Client) -> int:
    stats = client.get(f"/v1/queues/{QUEUE}/stats").json()
    return sum(stats[state] for state in ("ready", "delayed", "in_flight"))


@pytest.fixture
def effects(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS effects")
        connection.execute(effects_worker.TABLE)
        connection.execute("INSERT INTO effects (n) SELECT generate_series(1, %s)", [MESSAGES])
        yield connection
        connection.execute("DROP TABLE effects")


def test_workers_that_are_killed_apply_every_effect_exactly_once(
    postgres_url: str, effects: psycopg.Connection, tmp_path: Path
):
    with serving(postgres_url, tmp_path) as server, server.client() as client:
        for start in range(1, MESSAGES + 1, BATCH):
            numbers = range(start, min(start + BATCH, MESSAGES + 1))
            sent = client.post(f"/v1/queues/{QUEUE}/messages:batch", json={"messages": [{"body": n} for n in numbers]})
            assert all("id" in result for result in sent.json()["results"])
        begun_at = time.monotonic()
        with working(server, postgres_url, tmp_path) as workers:
            while left(client):
                assert time.monotonic() < begun_at + END_S_MAX, workers.log_text()
                time.sleep(random.uniform(0, 2 * PAUSE_S))
                workers.harm_one()
                workers.thaw()
            codes = workers.stop()
            took_s = time.monotonic() - begun_at
        assert left(client) == 0
    applied = effects.execute("SELECT applied, count(*) FROM effects GROUP BY applied").fetchall()
    (redelivered,) = effects.execute("SELECT count(*) FROM effects WHERE fence > 1").fetchone()
    print(f"{MESSAGES} messages, {workers.kills} kills, {workers.freezes} freezes, {redelivered} again, {took_s:.1f} s")
    assert applied == [(1, MESSAGES)], workers.log_text()
    assert codes == [0] * WORKERS
    assert workers.kills + workers.freezes > 0
    assert redelivered > 0, "no message came back: the kills showed nothing"
