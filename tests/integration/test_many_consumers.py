"""Check 2: eight consumer processes and two sweepers share 20,000 messages on PostgreSQL."""

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from sqslite.domain.messages import NewMessage
from sqslite.entrypoints.container import Container
from sqslite.entrypoints.settings import DatabaseUrl, Settings
from tests.integration.server_process import environment

MESSAGES = 20_000
CONSUMERS = 8
SWEEPERS = 2
END_S_MAX = 120


def _run(url: str, queue: str, visibility_ms: int, dawdle_share: float, folder: Path) -> list[dict]:
    sweepers = [
        subprocess.Popen([sys.executable, "-m", "sqslite", "sweeper"], env=environment(url), stderr=subprocess.DEVNULL)
        for _ in range(SWEEPERS)
    ]
    outs = [folder / f"{n}.jsonl" for n in range(CONSUMERS)]
    consumer = [sys.executable, "-m", "tests.integration.consumer", url, queue, str(visibility_ms), str(dawdle_share)]
    consumers = [subprocess.Popen([*consumer, str(out)]) for out in outs]
    try:
        assert [process.wait(END_S_MAX) for process in consumers] == [0] * CONSUMERS
        assert [sweeper.poll() for sweeper in sweepers] == [None] * SWEEPERS
    finally:
        for process in [*consumers, *sweepers]:
            process.kill()
            process.wait()
    return [json.loads(line) for out in outs for line in out.read_text().splitlines()]


async def _fill(url: str, queue: str) -> set[int]:
    container = Container(settings=Settings(database_url=DatabaseUrl(url)))
    backend, service = container.backend(), container.service()
    await backend.open()
    await backend.migrate()
    batch = [NewMessage(body=b"%d" % n) for n in range(1_000)]
    ids = {accepted.id for _ in range(MESSAGES // 1_000) for accepted in await service.enqueue(queue, batch)}
    await backend.close()
    return ids


def test_each_message_goes_to_one_consumer_once(postgres_url: str, tmp_path: Path):
    ids = asyncio.run(_fill(postgres_url, "calm"))
    records = _run(postgres_url, "calm", 60_000, 0, tmp_path)
    assert len(ids) == len(records) == MESSAGES
    assert {record["id"] for record in records} == ids
    assert all(record["acked"] and record["delivery"] == 1 for record in records)


@pytest.mark.parametrize("visibility_ms", [250])
def test_leases_that_expire_under_way_are_never_held_twice_at_once(
    postgres_url: str, tmp_path: Path, visibility_ms: int
):
    ids = asyncio.run(_fill(postgres_url, "hasty"))
    records = _run(postgres_url, "hasty", visibility_ms, 0.05, tmp_path)
    by_message = defaultdict(list)
    for record in records:
        by_message[record["id"]].append(record)
    assert by_message.keys() == ids
    for deliveries in by_message.values():
        deliveries.sort(key=lambda record: record["delivery"])
        assert [record["delivery"] for record in deliveries] == list(range(1, len(deliveries) + 1))
        assert [record["acked"] for record in deliveries] == [False] * (len(deliveries) - 1) + [True]
        for earlier, later in pairwise(deliveries):
            assert datetime.fromisoformat(later["claimed_at"]) >= datetime.fromisoformat(earlier["lease_until"])
    assert any(len(deliveries) > 1 for deliveries in by_message.values()), "no lease expired: the test showed nothing"
