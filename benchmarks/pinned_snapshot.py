"""Claim speed while another session pins an old snapshot, so that dead index entries cannot be cleared away.

Messages flow through one queue of PostgreSQL at a small, steady backlog. Without the claim cursor every claim reads
the dead entries of all messages claimed before it; with it, a claim starts where the last one ended.
"""

import asyncio
import time
from itertools import zip_longest

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.direct import direct_queue
from benchmarks.servers import postgres
from sqslite.adapters.stores.postgres.claim_cursor import AlwaysFromTheStart, ClaimCursor, Cursor

BATCH = 100
CLAIM = 10
BACKLOG = 1_000
WINDOWS = 10
# A flow that has become slow shows what it has to show by then.
FLOW_S_MAX = 150.0


def run(messages: int) -> None:
    """Let that many messages flow, with the cursor and without, and print claim speed over time."""
    table = Table(title=f"Claims of {CLAIM} under a pinned snapshot, {messages:,} messages through one queue")
    for column in ("messages so far", "with cursor, msg/s", "without cursor, msg/s"):
        table.add_column(column, justify="right")
    with postgres() as url:
        with_cursor, without = [
            asyncio.run(_flow(url, f"pinned-{type(cursor).__name__}", cursor, messages))
            for cursor in (ClaimCursor(), AlwaysFromTheStart())
        ]
    for window, pair in enumerate(zip_longest(with_cursor, without), start=1):
        table.add_row(
            f"{messages * window // WINDOWS:,}", *["" if speed is None else f"{speed:,.0f}" for speed in pair]
        )
    table.add_row("last ÷ first", *[f"{curve[-1] / curve[0]:.2f}" for curve in (with_cursor, without)])
    Console(width=120).print(table)


async def _flow(url: str, queue_name: str, cursor: Cursor, messages: int) -> list[float]:
    """Messages claimed per second of claiming, a figure for each window of the flow that FLOW_S_MAX has time for."""
    ends = time.perf_counter() + FLOW_S_MAX
    speeds: list[float] = []
    claimed_in_window, claiming_s = 0, 0.0
    # autocommit off: the first statement opens the transaction, whose snapshot then stays.
    async with direct_queue(url, queue_name, cursor) as direct, await psycopg.AsyncConnection.connect(url) as pin:
        await pin.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await pin.execute("SELECT count(*) FROM sqslite.messages")
        await direct.enqueue(BACKLOG)
        while len(speeds) < WINDOWS and not (speeds and time.perf_counter() > ends):
            await direct.enqueue(BATCH)
            for _ in range(BATCH // CLAIM):
                started = time.perf_counter()
                deliveries = await direct.claim(CLAIM)
                claiming_s += time.perf_counter() - started
                assert len(deliveries) == CLAIM
                await direct.ack(deliveries)
                claimed_in_window += CLAIM
            if claimed_in_window >= messages // WINDOWS:
                speeds.append(claimed_in_window / claiming_s)
                claimed_in_window, claiming_s = 0, 0.0
    return speeds
