"""Dwell times of nine quiet tenants while a tenth has flooded the queue, with and without fair queues."""

import asyncio
import json
import time
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.connection import Connection, connected
from benchmarks.servers import Server, postgres, sqslite

QUIET_TENANTS = 9
CONSUMERS = 8
BATCH = 10
FLOOD_BATCH = 1_000
# What a worker does with a message.
WORK_S = 0.002
FLOODER = "flooder"


def run(flood: int, duration_s: float) -> None:
    """Measure how long messages of quiet tenants wait, on a standard and on a fair queue, alone and behind a flood."""
    title = f"{QUIET_TENANTS} tenants send 1/s each, {CONSUMERS} consumers; flood of {flood:,} by a tenth (PostgreSQL)"
    table = Table(title=title)
    for column in (
        "queue",
        "backlog of the tenth",
        "dwell p50 ms",
        "dwell p95 ms",
        "p95 of unloaded",
        "flood served/s",
    ):
        table.add_column(column, justify="left" if column == "queue" else "right")
    with postgres() as url, sqslite(url) as server:
        for name, fair in (("standard", False), ("fair", True)):
            unloaded_ms = 0.0
            for backlog in (0, flood):
                queue = f"{name}-{backlog}"
                dwells_ms, served = asyncio.run(_measured(server, queue, fair, backlog, duration_s))
                p95_ms = quantiles(dwells_ms, n=20)[18] if len(dwells_ms) > 1 else float("inf")
                unloaded_ms = unloaded_ms or p95_ms
                p50_ms = quantiles(dwells_ms, n=2)[0] if len(dwells_ms) > 1 else float("inf")
                shares = (
                    f"{p50_ms:,.1f}",
                    f"{p95_ms:,.1f}",
                    f"{p95_ms / unloaded_ms:.2f}",
                    f"{served / duration_s:,.0f}",
                )
                table.add_row(name, f"{backlog:,}", *shares)
    Console(width=120).print(table)


async def _measured(server: Server, queue: str, fair: bool, backlog: int, duration_s: float) -> tuple[list[float], int]:
    """Dwell times of the quiet tenants (of what never came, all the time since it was sent), and the flood's share."""
    control = await connected(server.port)
    await _ask(control, "PUT", f"/v1/queues/{queue}", {"fair": fair, "visibility_ms": 120_000})
    for _ in range(backlog // FLOOD_BATCH):
        messages = [{"body": 1, "group_id": FLOODER}] * FLOOD_BATCH
        await _ask(control, "POST", f"/v1/queues/{queue}/messages:batch", {"messages": messages})
    end = time.perf_counter() + duration_s
    dwells_ms: dict[int, float] = {}
    sent: dict[int, float] = {}
    served = 0

    async def produce(tenant: int) -> None:
        connection = await connected(server.port)
        await asyncio.sleep(tenant / QUIET_TENANTS)
        while time.perf_counter() < end - 2:
            answer = await _ask(
                connection, "POST", f"/v1/queues/{queue}/messages", {"body": 1, "group_id": f"tenant-{tenant}"}
            )
            sent[answer["id"]] = time.perf_counter()
            await asyncio.sleep(1)
        connection.close()

    async def consume() -> None:
        nonlocal served
        connection = await connected(server.port)
        while time.perf_counter() < end:
            messages = await _ask(connection, "POST", f"/v1/queues/{queue}:receive", {"max": BATCH, "wait_ms": 500})
            came_at = datetime.now(UTC)
            for message in messages:
                if message["group_id"] == FLOODER:
                    served += 1
                else:
                    enqueued_at = datetime.fromisoformat(message["enqueued_at"])
                    dwells_ms[message["id"]] = (came_at - enqueued_at).total_seconds() * 1_000
            await asyncio.sleep(WORK_S * len(messages))
            if messages:
                acks = [{"receipt": message["receipt"]} for message in messages]
                await _ask(connection, "POST", "/v1/messages:ack", {"acks": acks})
        connection.close()

    await asyncio.gather(*[produce(n) for n in range(QUIET_TENANTS)], *[consume() for _ in range(CONSUMERS)])
    control.close()
    now = time.perf_counter()
    waiting_still_ms = [(now - since) * 1_000 for message_id, since in sent.items() if message_id not in dwells_ms]
    return [*dwells_ms.values(), *waiting_still_ms], served


async def _ask(connection: Connection, method: str, path: str, body: object) -> Any:
    status, answer = await connection.request(method, path, json.dumps(body).encode())
    assert status < 300, answer
    return json.loads(answer)
