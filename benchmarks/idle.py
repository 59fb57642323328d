"""What a server costs that has nothing to do: a hundred queues, and hundreds of receives that wait."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks import report
from benchmarks.connection import Connection, connected
from benchmarks.servers import ProcessTree, Server, postgres_server, scratch, sqslite

COLUMNS = ("sqslite on", "nobody waits: server", "PostgreSQL", "all wait: server", "PostgreSQL", "waiting")
# Each asks the store once before it waits; all at once would be more than a store lets wait.
ARRIVING_AT_ONCE = 20
ARRIVING_S = 0.05
SETTLING_S = 2.0
WAIT_MS = 60_000


@dataclass(frozen=True)
class Store:
    """A row of the table."""

    name: str
    start: Callable[[], AbstractContextManager[Server]]
    postgres: ProcessTree | None = None


def run(*, queues: int, polls: int, seconds: float, markdown: bool) -> None:
    """Measure each store and print one table."""
    title = f"CPU in % of one core, {queues} queues, {polls} parked polls, over {seconds:g} s"
    made = report.table(title, COLUMNS, markdown=markdown)
    with scratch() as folder, postgres_server() as database:
        remarks = report.machine(folder)
        url = database.fresh_database("bench_idle")
        stores = (
            Store("memory", lambda: sqslite("memory://")),
            Store("SQLite", lambda: sqslite(f"sqlite:///{folder / 'bench.db'}")),
            Store("PostgreSQL", lambda: sqslite(url), database.tree),
        )
        for store in stores:
            with store.start() as server:
                made.add_row(store.name, *asyncio.run(_row(server, store.postgres, queues, polls, seconds)))
    report.show(made, remarks)


async def _row(server: Server, postgres: ProcessTree | None, queues: int, polls: int, seconds: float) -> list[str]:
    names = [f"idle-{number}" for number in range(queues)]
    control = await connected(server.port)
    for name in names:
        status, answer = await control.request("PUT", f"/v1/queues/{name}", b"{}")
        assert status < 300, answer
    control.close()
    trees = [server.tree, postgres]
    await asyncio.sleep(SETTLING_S)
    alone = await _cpu_percent(trees, seconds)
    waiting: list[asyncio.Task[None]] = []
    for number in range(polls):
        connection = await connected(server.port)
        waiting.append(asyncio.create_task(_poll(connection, names[number % queues])))
        if number % ARRIVING_AT_ONCE == 0:
            await asyncio.sleep(ARRIVING_S)
    await asyncio.sleep(SETTLING_S)
    parked = await _cpu_percent(trees, seconds)
    still = sum(not poll.done() for poll in waiting)
    for poll in waiting:
        poll.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    # The server learns of it before it is stopped.
    await asyncio.sleep(SETTLING_S)
    return [*alone, *parked, f"{still:,}"]


async def _poll(connection: Connection, queue: str) -> None:
    """Wait for messages that do not come, again and again."""
    asked = json.dumps({"wait_ms": WAIT_MS}).encode()
    try:
        while True:
            status, answer = await connection.request("POST", f"/v1/queues/{queue}:receive", asked)
            assert (status, answer) == (200, b"[]"), answer
    finally:
        connection.close()


async def _cpu_percent(trees: list[ProcessTree | None], seconds: float) -> list[str]:
    before = [tree.cpu_s() if tree else 0.0 for tree in trees]
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed_s = time.perf_counter() - began
    return [
        f"{(tree.cpu_s() - earlier_s) / elapsed_s * 100:.2f}" if tree else ""
        for tree, earlier_s in zip(trees, before, strict=True)
    ]
