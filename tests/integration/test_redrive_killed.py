"""A redrive of 20,000 dead letters whose node is killed three times: none is lost, none is doubled."""

import asyncio
import time
from pathlib import Path

import pytest

from sqslite.domain.messages import Accepted, NewMessage
from sqslite.entrypoints.container import Container
from sqslite.entrypoints.settings import DatabaseUrl, Settings
from tests.integration.server_process import ServerProcess

MESSAGES = 20_000
BATCH = 1_000
KILLS = 3
PER_SECOND_MAX = 5_000
END_S_MAX = 120.0


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_redrive_survives_its_node(store: str, request: pytest.FixtureRequest, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/redrive.db" if store == "sqlite" else request.getfixturevalue("postgres_url")
    ids = asyncio.run(_on(url, _dead_letters))
    server = ServerProcess(url, tmp_path / "server.log").start()
    try:
        with server.client() as client:
            started = client.post("/v1/queues/dead:redrive", json={"max_per_second": PER_SECOND_MAX})
            assert started.status_code == 202, started.text
        moved = 0
        for _ in range(KILLS):
            moved = _wait_for(server, beyond=moved)["moved"]
            assert moved < MESSAGES, "it was over before it could be killed"
            server.kill()
            server.start()
        task = _wait_for(server, beyond=MESSAGES - 1)
        assert task["moved"] == MESSAGES
        with server.client() as client:
            assert client.get("/v1/queues/dead/redrives").json()["redrives"][0]["state"] in ("running", "completed")
        assert server.stop() == 0
    finally:
        server.kill()
    back, still_dead = asyncio.run(_on(url, _whereabouts))
    assert still_dead == []
    assert len(back) == MESSAGES
    assert sorted(back) == sorted(ids)


def _wait_for(server: ServerProcess, beyond: int) -> dict:
    deadline = time.monotonic() + END_S_MAX
    with server.client() as client:
        while time.monotonic() < deadline:
            (task,) = client.get("/v1/queues/dead/redrives").json()["redrives"]
            if task["moved"] > beyond:
                return task
            time.sleep(0.02)
    raise AssertionError(f"the redrive did not get beyond {beyond} in time: {task}")


async def _on(url: str, work):
    container = Container(settings=Settings(database_url=DatabaseUrl(url)))
    backend = container.backend()
    await backend.open()
    try:
        await backend.migrate()
        return await work(container)
    finally:
        await backend.close()


async def _dead_letters(container: Container) -> list[int]:
    """Messages of three queues that failed once and have come to rest in `dead`."""
    service, sweep = container.service(), container.sweep()
    ids: list[int] = []
    for place in range(MESSAGES // BATCH):
        queue = f"source-{place % 3}"
        batch = [NewMessage(body=b"%d" % n, dlq="dead", max_retries=1) for n in range(BATCH)]
        accepted = await service.enqueue(queue, batch)
        assert all(isinstance(outcome, Accepted) for outcome in accepted)
        ids += [outcome.id for outcome in accepted]
        assert len(await service.claim(queue, BATCH, visibility_ms=1)) == BATCH
        await asyncio.sleep(0.01)
        while await sweep.settle_due():
            pass
    depth, _ = await container.inspection().stats("dead")
    assert depth.ready == MESSAGES or depth.approximate
    return ids


async def _whereabouts(container: Container) -> tuple[list[int], list[int]]:
    back = [message_id for n in range(3) for message_id in await _all_of(container, f"source-{n}")]
    return back, await _all_of(container, "dead")


async def _all_of(container: Container, queue: str) -> list[int]:
    ids: list[int] = []
    after = None
    while True:
        page = await container.inspection().peek(queue, None, after, BATCH)
        ids += [message.id for _, message in page.messages]
        after = page.after
        if after is None:
            return ids
