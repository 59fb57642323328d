"""Operations: several workers, a polite stop, a database that goes away and comes back, overload."""

import asyncio
import contextlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.postgres_server import fresh_database
from tests.integration.server_process import (
    LOOK_S,
    START_S_MAX,
    STOP_S_MAX,
    ServerProcess,
    environment,
    free_port,
    serving,
)

MESSAGES = 200
RECOVERED_S_MAX = 10.0
ANSWERED_S_MAX = 8.0


def _metric(server: ServerProcess, name: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics", timeout=5).text)
    return sum(s.value for family in families for s in family.samples if s.name == name)


def test_metrics_of_several_workers_are_exact_sums(postgres_url: str, tmp_path: Path):
    with serving(postgres_url, tmp_path, "--workers", "2") as server:

        def flow(n: int) -> None:
            # A connection each, so that both workers get some.
            with server.client() as client:
                assert client.post("/v1/queues/shared/messages", json={"body": n}).status_code == 201
                (message,) = client.post("/v1/queues/shared:receive", json={"max": 1}).json()
                assert client.post(f"/v1/messages/{message['id']}:ack", json={}).status_code == 200

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(flow, range(MESSAGES)))
        for _ in range(10):
            assert _metric(server, "sqs_messages_enqueued_total") == MESSAGES
            assert _metric(server, "sqs_messages_received_total") == MESSAGES
            assert _metric(server, "sqs_messages_acked_total") == MESSAGES


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_finishes_what_runs_and_ends_with_0(postgres_url: str, tmp_path: Path, workers: str):
    server = ServerProcess(postgres_url, tmp_path / "server.log", "--workers", workers).start()
    with ThreadPoolExecutor(8) as pool, server.client() as client:

        def enqueue() -> int:
            answered = 0
            while True:
                try:
                    answer = client.post(f"/v1/queues/stop-{workers}/messages", json={"body": 1})
                except httpx.HTTPError:
                    return answered
                assert answer.status_code == 201, answer.text
                answered += 1

        loads = [pool.submit(enqueue) for _ in range(8)]
        time.sleep(1)
        assert server.stop() == 0
        answered = sum(load.result() for load in loads)
    with psycopg.connect(postgres_url) as connection:
        (stored,) = connection.execute(
            "SELECT count(*) FROM sqslite.messages JOIN sqslite.queues USING (partition_id) WHERE name = %s",
            [f"stop-{workers}"],
        ).fetchone()
    # The answer of a request that was under way may be lost with its connection, the message never.
    assert answered <= stored <= answered + 8
    assert answered > 0


def test_a_database_that_goes_away_is_told_and_found_again(private_postgres, tmp_path: Path):
    with serving(private_postgres.url, tmp_path) as server, server.client() as client:
        assert client.post("/v1/queues/q/messages", json={"body": 1}).status_code == 201
        private_postgres.kill()
        for call in range(3):
            started = time.monotonic()
            refused = httpx.post(f"{server.url}/v1/queues/q/messages", json={"body": call}, timeout=ANSWERED_S_MAX)
            assert time.monotonic() - started < ANSWERED_S_MAX
            assert refused.status_code == 503
            assert refused.json()["code"] in ("store_unavailable", "outcome_unknown")
            assert int(refused.headers["retry-after"]) >= 1
        ready = httpx.get(f"{server.url}/readyz", timeout=ANSWERED_S_MAX)
        assert (ready.status_code, ready.json()["code"]) == (503, "store_unavailable")
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics", timeout=ANSWERED_S_MAX).status_code == 200
        private_postgres.start()
        deadline = time.monotonic() + RECOVERED_S_MAX
        while httpx.get(f"{server.url}/readyz", timeout=ANSWERED_S_MAX).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.post("/v1/queues/q/messages", json={"body": 1}).status_code == 201


def test_an_exhausted_pool_answers_503_and_never_hangs(postgres_url: str, tmp_path: Path):
    arguments = {"DB_POOL_SIZE": "1", "DB_WAITERS_MAX": "2", "DB_CONNECTION_TIMEOUT": "1"}
    with serving(postgres_url, tmp_path, "--no-sweeper", **arguments) as server, server.client() as client:
        assert client.post("/v1/queues/busy/messages", json={"body": 1}).status_code == 201
        with psycopg.connect(postgres_url) as blocker:
            blocker.execute("LOCK TABLE sqslite.messages IN ACCESS EXCLUSIVE MODE")

            async def crowd() -> list[httpx.Response]:
                async with httpx.AsyncClient(base_url=server.url, timeout=15) as many:
                    # To as many queues, because what comes at once for one queue goes together.
                    calls = [many.post(f"/v1/queues/busy-{n}/messages", json={"body": n}) for n in range(20)]
                    return await asyncio.gather(*calls)

            answers = asyncio.run(crowd())
            blocker.rollback()
        assert {answer.status_code for answer in answers} == {503}
        assert "overloaded" in {answer.json()["code"] for answer in answers}
        assert all("retry-after" in answer.headers for answer in answers)
        assert client.post("/v1/queues/busy/messages", json={"body": 1}).status_code == 201


def test_many_nodes_starting_at_once_migrate_once(postgres_server_url: str):
    command = [sys.executable, "-m", "sqslite", "migrate"]
    with fresh_database(postgres_server_url) as url:
        nodes = [subprocess.Popen(command, env=environment(url), stdout=subprocess.PIPE, text=True) for _ in range(4)]
        outputs = [node.communicate(timeout=60)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0] * 4
    assert len([line for output in outputs for line in output.splitlines() if "0001" in line]) == 1


def test_a_sweeper_that_runs_apart_shows_its_metrics(tmp_path: Path):
    port = free_port()
    command = [sys.executable, "-m", "sqslite", "sweeper", "--metrics-port", str(port)]
    url = f"sqlite:///{tmp_path}/queues.db"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(url), stdout=log, stderr=log, start_new_session=True)
    try:
        deadline, shown = time.monotonic() + START_S_MAX, ""
        while "sqs_sweeper_duration_seconds_count 0.0" in shown or not shown:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(LOOK_S)
            with contextlib.suppress(httpx.HTTPError):
                shown = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        samples = {s.name: s.value for family in text_string_to_metric_families(shown) for s in family.samples}
        assert samples["sqs_sweeper_last_success_timestamp_seconds"] > 0
        taken = subprocess.run(command, env=environment(url), capture_output=True, text=True, timeout=START_S_MAX)
        assert taken.returncode != 0
        assert f"port {port}" in taken.stderr
        assert "free to listen on" in taken.stderr
        assert "Traceback" not in taken.stderr
    finally:
        process.terminate()
        assert process.wait(STOP_S_MAX) == 0


def test_more_workers_on_sqlite_are_refused_with_the_reason(tmp_path: Path):
    command = [sys.executable, "-m", "sqslite", "serve", "--workers", "2"]
    run = subprocess.run(
        command, env=environment(f"sqlite:///{tmp_path}/x.db"), capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 1
    assert "WORKERS" in run.stderr
    assert "one writer" in run.stderr
    assert "Traceback" not in run.stderr
