"""Whether speed depends on what lies in the queue: a backlog up to ten million, a million delayed, many in flight."""

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median, quantiles

import psycopg

from benchmarks import report
from benchmarks.direct import direct_queue
from benchmarks.driver import Driver, driver
from benchmarks.filling import fill
from benchmarks.load import Load
from benchmarks.servers import postgres_server, scratch, sqslite

SMALLEST = 10_000
DELAYED = 1_000_000
IN_FLIGHT = 100_000
CONNECTIONS = 64
CLAIM = 10
CLAIMS = 200
WARM_UP_S = 1.5
COLUMNS = (
    "in the queue",
    "of an empty queue's",
    "cycles/s",
    "p50 ms",
    "p99 ms",
    f"claim of {CLAIM}, p50 ms",
    "blocks read a claim",
)
BLOCKS = """
    SELECT heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read
    FROM pg_statio_user_tables WHERE relid = 'sqslite.messages'::regclass
"""


@dataclass(frozen=True)
class Situation:
    """What a queue holds beside what flows through it."""

    name: str
    queue: str
    state: str
    count: int


def run(*, up_to: int, seconds: float, markdown: bool) -> None:
    """Measure each situation and print one table."""
    title = (
        f"Full cycles over HTTP on PostgreSQL, {CONNECTIONS} connections, {seconds:g} s each, and claims by themselves"
    )
    made = report.table(title, COLUMNS, markdown=markdown)
    first = None
    with scratch() as folder, postgres_server() as database, driver(1) as drivers:
        remarks = report.machine(folder)
        url = database.fresh_database("bench_backlog")
        filled: dict[str, int] = {}
        for situation in situations(up_to):
            print(f"{situation.name} …", file=sys.stderr)
            asyncio.run(_add(url, situation, filled))
            per_second, p50_ms, p99_ms = _cycles(url, situation, drivers, seconds)
            claim_ms, blocks = asyncio.run(_claims(url, situation))
            first = first or per_second
            made.add_row(
                situation.name,
                f"{per_second / first:.2f}",
                f"{per_second:,.0f}",
                f"{p50_ms:.1f}",
                f"{p99_ms:.1f}",
                f"{claim_ms:.2f}",
                f"{blocks:,.0f}",
            )
    report.show(made, remarks)


def situations(up_to: int) -> Iterator[Situation]:
    """In the order in which the tables grow."""
    yield Situation("nothing", "empty", "ready", 0)
    yield Situation(f"{IN_FLIGHT:,} in flight", "in-flight", "leased", IN_FLIGHT)
    yield Situation(f"{DELAYED:,} delayed", "delayed", "delayed", DELAYED)
    count = SMALLEST
    while count <= up_to:
        yield Situation(f"{count:,} ready", "backlog", "ready", count)
        count *= 10
    yield Situation("nothing, beside all these", "empty-at-last", "ready", 0)


async def _add(url: str, situation: Situation, filled: dict[str, int]) -> None:
    """Bring the queue to its count; what was added before stays."""
    async with direct_queue(url, situation.queue):
        pass
    missing = situation.count - filled.get(situation.queue, 0)
    if missing:
        await asyncio.to_thread(fill, url, situation.queue, missing, situation.state)
        filled[situation.queue] = situation.count


def _cycles(url: str, situation: Situation, drivers: Driver, seconds: float) -> tuple[float, float, float]:
    """Cycles a second and their latencies; what is received are the oldest, what is enqueued comes behind."""
    with sqslite(url) as server:
        starts_at = time.monotonic() + WARM_UP_S
        load = Load("rest", str(server.port), situation.queue, CONNECTIONS, 1, starts_at, starts_at + seconds)
        tally = drivers.start(load).tally()
    percentiles = quantiles(tally.latencies_ms, n=100)
    return tally.messages / seconds, percentiles[49], percentiles[98]


async def _claims(url: str, situation: Situation) -> tuple[float, float]:
    """Milliseconds of a claim straight on the store, the median, and the blocks it looks at, on average."""
    async with direct_queue(url, situation.queue) as direct:
        await direct.enqueue(CLAIM * CLAIMS)
    before = _blocks(url)
    times_ms = []
    async with direct_queue(url, situation.queue) as direct:
        for _ in range(CLAIMS):
            began = time.perf_counter()
            deliveries = await direct.claim(CLAIM)
            times_ms.append((time.perf_counter() - began) * 1_000)
            assert len(deliveries) == CLAIM
    # The statistics of a connection are complete once it has ended.
    return median(times_ms), (_blocks(url) - before) / CLAIMS


def _blocks(url: str) -> int:
    with psycopg.connect(url) as observer:
        found = observer.execute(BLOCKS).fetchone()
    assert found is not None
    return int(found[0])
