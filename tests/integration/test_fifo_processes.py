"""Promise 5: eight consumer processes of a FIFO queue on PostgreSQL, killed at random, while messages come."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from sqslite.domain.messages import Accepted, NewMessage
from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.container import Container
from sqslite.entrypoints.settings import DatabaseUrl, Settings

QUEUE = "line"
CONSUMERS = 8
KILLS = 10
PRODUCERS = 6
GROUPS = 24
MESSAGES_PER_GROUP = 40
END_S_MAX = 90.0


class Consumers:
    """Processes that can be killed and replaced; each writes to the file of its place."""

    def __init__(self, url: str, folder: Path) -> None:
        self._command = [sys.executable, "-m", "tests.integration.fifo_consumer", url, QUEUE]
        self.outs = [folder / f"{n}.jsonl" for n in range(CONSUMERS)]
        self._processes = [self._start(out) for out in self.outs]

    def _start(self, out: Path) -> subprocess.Popen:
        return subprocess.Popen([*self._command, str(out)])

    def kill_one(self) -> None:
        place = random.randrange(CONSUMERS)
        assert self._processes[place].poll() is None, "a consumer ended by itself"
        self._kill(self._processes[place])
        self._processes[place] = self._start(self.outs[place])

    def end(self) -> None:
        for process in self._processes:
            self._kill(process)

    def _kill(self, process: subprocess.Popen) -> None:
        process.kill()
        process.wait()


def test_order_and_exclusivity_hold_under_kills(postgres_url: str, tmp_path: Path):
    asyncio.run(_with_service(postgres_url, _create))
    consumers = Consumers(postgres_url, tmp_path)
    try:
        ids = asyncio.run(_with_service(postgres_url, _produce, consumers))
        deadline = time.monotonic() + END_S_MAX
        while asyncio.run(_with_service(postgres_url, _left)) and time.monotonic() < deadline:
            time.sleep(0.3)
        assert asyncio.run(_with_service(postgres_url, _left)) == 0, "not all was consumed in time"
    finally:
        consumers.end()
    _check(ids, [record for out in consumers.outs for record in _records(out)])


async def _with_service(url: str, work, *arguments):
    container = Container(settings=Settings(database_url=DatabaseUrl(url)))
    backend = container.backend()
    await backend.open()
    try:
        await backend.migrate()
        return await work(container, *arguments)
    finally:
        await backend.close()


async def _create(container: Container) -> None:
    await container.administration().put(QUEUE, QueueSettings(fifo=True))


async def _produce(container: Container, consumers: Consumers) -> dict[str, list[int]]:
    """Each group has one producer, so that the order of acceptance is known; several run at once."""
    service = container.service()
    ids: dict[str, list[int]] = {f"group-{n}": [] for n in range(GROUPS)}

    async def produce(groups: list[str]) -> None:
        for number in range(MESSAGES_PER_GROUP):
            for group in groups:
                (accepted,) = await service.enqueue(QUEUE, [NewMessage(body=b"%d" % number, group_id=group)])
                assert isinstance(accepted, Accepted), accepted
                ids[group].append(accepted.id)

    async def kill_now_and_then() -> None:
        for _ in range(KILLS):
            await asyncio.sleep(random.uniform(0.2, 0.6))
            await asyncio.to_thread(consumers.kill_one)

    names = list(ids)
    await asyncio.gather(kill_now_and_then(), *[produce(names[n::PRODUCERS]) for n in range(PRODUCERS)])
    return ids


async def _left(container: Container) -> int:
    depth, _ = await container.inspection().stats(QUEUE)
    return depth.ready + depth.delayed + depth.in_flight


def _records(out: Path) -> list[dict]:
    lines = out.read_text().splitlines() if out.exists() else []
    # A consumer that is killed while it writes leaves half a line.
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def _check(ids: dict[str, list[int]], records: list[dict]) -> None:
    claims = {record["claim"]: record for record in records if "messages" in record}
    done: dict[str, dict[int, str]] = defaultdict(dict)
    for record in records:
        if "done" in record:
            done[record["claim"]][record["id"]] = record["at"]
    by_group: dict[str, list[tuple[datetime, datetime, list[int]]]] = defaultdict(list)
    for name, claim in claims.items():
        for group in {message[1] for message in claim["messages"]}:
            own = [message for message in claim["messages"] if message[1] == group]
            numbers = [message[2] for message in own]
            assert numbers == sorted(numbers), f"{group} came out of order within a receive: {numbers}"
            ends = [done[name].get(message[0], claim["lease_until"]) for message in own]
            held_until = min(max(map(datetime.fromisoformat, ends)), datetime.fromisoformat(claim["lease_until"]))
            by_group[group].append((datetime.fromisoformat(claim["claimed_at"]), held_until, numbers))
    killed_or_nacked = 0
    for group, in_group in by_group.items():
        in_group.sort()
        for (_, held_until, _), (claimed_at, _, numbers) in pairwise(in_group):
            assert claimed_at >= held_until, f"{group}: {numbers} were given out while others were held"
        firsts = [n for place, claim in enumerate(in_group) for n in claim[2] if n not in _seen(in_group[:place])]
        assert firsts == list(range(MESSAGES_PER_GROUP)), f"{group} came out of order: {firsts}"
        for place, (_, _, numbers) in enumerate(in_group):
            # Whoever is given again is the oldest that was not acked: nothing behind it was skipped ahead.
            seen = _seen(in_group[:place])
            assert numbers[0] <= max(seen, default=-1) + 1, f"{group}: {numbers[0]} came before what precedes it"
        killed_or_nacked += sum(len(claim[2]) for claim in in_group) - MESSAGES_PER_GROUP
    assert by_group.keys() == ids.keys()
    assert all(group_ids == sorted(group_ids) for group_ids in ids.values()), "ids do not grow by acceptance"
    assert killed_or_nacked > 0, "nothing was delivered twice: the test showed nothing"


def _seen(claims: list[tuple[datetime, datetime, list[int]]]) -> set[int]:
    return {number for _, _, numbers in claims for number in numbers}
