"""Check 3: whatever is killed at whatever instant, nothing promised is lost and nothing acked returns."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from tests.integration.crash_load import Load
from tests.integration.server_process import ServerProcess

KILLS = 10
DATABASE_KILLS = 3
ALIVE_S = (0.3, 0.9)


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_server_killed_ten_times_loses_nothing(store: str, request: pytest.FixtureRequest, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/crash.db" if store == "sqlite" else request.getfixturevalue("postgres_url")
    server = ServerProcess(url, tmp_path / "server.log").start()

    def kill_and_restart() -> None:
        for _ in range(KILLS):
            time.sleep(random.uniform(*ALIVE_S))
            server.kill()
            server.start()

    load = Load(lambda: server.url, "crash")
    try:
        asyncio.run(load.run_during(kill_and_restart))
        _check(load)
        assert server.stop() == 0
    finally:
        server.kill()


def test_postgres_killed_under_load_loses_nothing(private_postgres, tmp_path: Path):
    """The API server stays up all the while and recovers by itself."""
    server = ServerProcess(private_postgres.url, tmp_path / "server.log").start()

    def kill_and_restart() -> None:
        for _ in range(DATABASE_KILLS):
            time.sleep(random.uniform(*ALIVE_S))
            private_postgres.kill()
            time.sleep(0.5)
            private_postgres.start()
            time.sleep(1)

    load = Load(lambda: server.url, "crash")
    try:
        asyncio.run(load.run_during(kill_and_restart))
        _check(load)
        assert server.stop() == 0
    finally:
        server.kill()


def _check(load: Load) -> None:
    books = load.books
    assert len(books.enqueued) > 100, "hardly anything was enqueued: the test showed nothing"
    assert len(books.acked) > 100, "hardly anything was acked: the test showed nothing"
    assert books.lost() == set()
    assert books.returned_after_ack == set()
