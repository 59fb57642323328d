"""How soon a receive that waits is answered after an enqueue, and what a thousand that wait cost a server."""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.connection import Connection, connected
from benchmarks.servers import Server, postgres, sqslite

PARKED = 1_000
ARRIVING_AT_ONCE = 20
# All who wait on one queue share its looks; on many queues there are as many looks as queues.
QUEUES = (1, 100)
IDLE_S = 5.0
# Until a poll waits for certain; far less than the second after which it looks by itself.
PARKING_S = 0.03
SETTLING_S = 1.0
WAIT_MS = 60_000
OWN_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'sqslite%'"


def run(rounds: int) -> None:
    """Measure each store and print one table."""
    table = Table(
        title="From the enqueue to the answer of a parked receive",
        caption=f"{rounds} rounds. Committed: from the enqueue's answer instead of its sending. "
        f"CPU of the waiting server, in % of one core, while nobody waits and while {PARKED:,} wait.",
    )
    for column in (
        "server",
        "p50 ms",
        "p99 ms",
        "committed p50 ms",
        "CPU idle",
        *[f"CPU {count} queue{'s' * (count > 1)}" for count in QUEUES],
        "connections",
    ):
        table.add_column(column, justify="left" if column == "server" else "right")
    with tempfile.TemporaryDirectory() as folder, postgres() as url:
        with sqslite("memory://") as node:
            table.add_row("memory", *_measured(node, node, rounds))
        with sqslite(f"sqlite:///{Path(folder) / 'bench.db'}") as node:
            table.add_row("SQLite", *_measured(node, node, rounds))
        with sqslite(url) as node:
            table.add_row("PostgreSQL", *_measured(node, node, rounds, url))
        with sqslite(url) as node, sqslite(url) as other:
            table.add_row("PostgreSQL, 2 nodes", *_measured(node, other, rounds, url))
    Console(width=120).print(table)


def _measured(producing: Server, waiting: Server, rounds: int, database_url: str | None = None) -> list[str]:
    """One row: wake-ups from one node to the other, and the cost of who waits at the other."""
    since_sent_ms, since_committed_ms = asyncio.run(_wake_ups(producing.port, waiting.port, rounds))
    percentiles = quantiles(since_sent_ms, n=100)
    costs = [asyncio.run(_cost(waiting, 0, 1, None))[0]]
    connections = ""
    for queues in QUEUES:
        cost, connections = asyncio.run(_cost(waiting, PARKED, queues, database_url))
        costs.append(cost)
    return [
        *[f"{value:.1f}" for value in (percentiles[49], percentiles[98], median(since_committed_ms))],
        *[f"{cost:.1f}" for cost in costs],
        connections,
    ]


async def _wake_ups(producing_port: int, waiting_port: int, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds until the receive that was parked is answered: from the enqueue's sending, and from its answer.

    The latter is below zero where the receive is answered first.
    """
    producer, consumer = await connected(producing_port), await connected(waiting_port)
    since_sent_ms, since_committed_ms = [], []

    async def enqueued() -> tuple[int, float]:
        status, answer = await producer.request("POST", "/v1/queues/wakeups/messages", b'{"body":1}')
        assert status == 201, answer
        return json.loads(answer)["id"], time.perf_counter()

    async def received() -> tuple[dict[str, object], float]:
        (message,) = await _receive(consumer, "wakeups")
        return message, time.perf_counter()

    for _ in range(rounds):
        poll = asyncio.ensure_future(received())
        await asyncio.sleep(PARKING_S)
        sent_at = time.perf_counter()
        (message_id, committed_at), (message, received_at) = await asyncio.gather(enqueued(), poll)
        assert message["id"] == message_id
        since_sent_ms.append((received_at - sent_at) * 1_000)
        since_committed_ms.append((received_at - committed_at) * 1_000)
        proof = json.dumps({"receipt": message["receipt"]}).encode()
        status, answer = await producer.request("POST", f"/v1/messages/{message_id}:ack", proof)
        assert status == 200, answer
    _close([producer, consumer])
    return since_sent_ms, since_committed_ms


async def _cost(server: Server, parked: int, queues: int, database_url: str | None) -> tuple[float, str]:
    """The server's CPU in percent of one core while receives are parked at it, and the database connections then."""
    connections = [await connected(server.port) for _ in range(parked)]
    polls = []
    for place, connection in enumerate(connections):
        polls.append(asyncio.ensure_future(_receive(connection, f"parked-{place % queues}")))
        # Each asks the store once before it waits; all at once would be more than a store lets wait.
        if place % ARRIVING_AT_ONCE == 0:
            await asyncio.sleep(PARKING_S)
    await asyncio.sleep(SETTLING_S)
    before_s, started = server.cpu_s(), time.perf_counter()
    await asyncio.sleep(IDLE_S)
    cpu_percent = (server.cpu_s() - before_s) / (time.perf_counter() - started) * 100
    assert not any(poll.done() for poll in polls)
    held = str(_database_connections(database_url)) if database_url else ""
    _close(connections)
    await asyncio.gather(*polls, return_exceptions=True)
    await asyncio.sleep(SETTLING_S)
    return cpu_percent, held


def _database_connections(url: str) -> int:
    with psycopg.connect(url) as observer:
        found = observer.execute(OWN_CONNECTIONS).fetchone()
    assert found is not None
    return int(found[0])


async def _receive(connection: Connection, queue: str) -> list[dict[str, object]]:
    asked = json.dumps({"max": 1, "wait_ms": WAIT_MS}).encode()
    status, answer = await connection.request("POST", f"/v1/queues/{queue}:receive", asked)
    assert status == 200, answer
    messages: list[dict[str, object]] = json.loads(answer)
    return messages


def _close(connections: Sequence[Connection]) -> None:
    for connection in connections:
        connection.close()
