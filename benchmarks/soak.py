"""Hours of steady load on PostgreSQL: does memory grow, do tables bloat, does it slow down? With plots."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks import report
from benchmarks.direct import direct_queue
from benchmarks.driver import driver
from benchmarks.filling import fill
from benchmarks.load import Load, Tally
from benchmarks.servers import Server, postgres_server, scratch, sqslite

QUEUE = "soak"
CONNECTIONS = 64
WARM_UP_S = 2.0
MIB = 1024 * 1024
# Rows of the printed table; the plots have every sample.
ROWS = 10
COLUMNS = ("minute", "of the first", "messages/s", "server MiB", "table MiB", "indexes MiB", "dead rows")
SIZES = """
    SELECT pg_table_size(c.oid), pg_indexes_size(c.oid), coalesce(s.n_dead_tup, 0)
    FROM pg_class AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
    WHERE c.oid = 'sqslite.messages'::regclass
"""


@dataclass(frozen=True)
class Sample:
    """How large things were at one moment."""

    at_s: float
    server_bytes: int
    table_bytes: int
    index_bytes: int
    dead_rows: int


class Sampler(threading.Thread):
    """Takes samples beside the load, which runs in processes of its own."""

    def __init__(self, url: str, server: Server, starts_at: float, every_s: float) -> None:
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self._url = url
        self._server = server
        self._starts_at = starts_at
        self._every_s = every_s
        self._ended = threading.Event()

    def run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as observer:
            while not self._ended.wait(self._every_s):
                found = observer.execute(SIZES).fetchone()
                assert found is not None
                at_s = time.monotonic() - self._starts_at
                self.samples.append(Sample(at_s, self._server.tree.memory_bytes(), *found))

    def end(self) -> None:
        """Take no more."""
        self._ended.set()
        self.join()


def run(*, minutes: float, backlog: int, workers: int, plots: Path | None, markdown: bool) -> bool:
    """Load one queue for that long, print figures over time, and tell whether all messages are accounted for."""
    duration_s = minutes * 60
    every_s = max(1.0, duration_s / 180)
    with scratch() as folder, postgres_server() as database, driver(1) as drivers:
        remarks = report.machine(folder)
        url = database.fresh_database("bench_soak")
        asyncio.run(_create(url))
        fill(url, QUEUE, backlog, "ready")
        with sqslite(url, workers) as server:
            starts_at = time.monotonic() + WARM_UP_S
            sampler = Sampler(url, server, starts_at, every_s)
            sampler.start()
            load = Load("rest", str(server.port), QUEUE, CONNECTIONS, 1, starts_at, starts_at + duration_s)
            tally = drivers.start(load).tally()
            sampler.end()
        told, fine = _accounted(url, tally, backlog)
    samples = [sample for sample in sampler.samples if 0 < sample.at_s <= duration_s]
    title = f"{minutes:g} minutes of full cycles on PostgreSQL, {CONNECTIONS} connections, backlog {backlog:,}"
    made = report.table(title, COLUMNS, markdown=markdown)
    for row in _rows(samples, tally.by_second, duration_s):
        made.add_row(*row)
    if plots is not None:
        remarks.append(f"Plots: {', '.join(str(path) for path in _plotted(plots, samples, tally.by_second))}.")
    report.show(made, [told, *remarks])
    return fine


async def _create(url: str) -> None:
    async with direct_queue(url, QUEUE):
        pass


def _accounted(url: str, tally: Tally, backlog: int) -> tuple[str, bool]:
    """What was enqueued is acked or still there; what was there before is, too. In sentences."""
    with psycopg.connect(url) as observer:
        left = {message_id for (message_id,) in observer.execute("SELECT id FROM sqslite.messages")}
    acked = Counter(tally.acked)
    doubled = sum(count - 1 for count in acked.values())
    lost = [message_id for message_id in tally.enqueued if message_id not in acked and message_id not in left]
    came_back = [message_id for message_id in acked if message_id in left]
    kept = len(left) == backlog + len(tally.enqueued) - len(tally.acked)
    told = (
        f"{len(tally.enqueued):,} enqueued, {len(tally.acked):,} acked, {len(left):,} left: {len(lost)} lost, "
        f"{doubled} doubled, {len(came_back)} still there after their ack."
    )
    return told, kept and not lost and not doubled and not came_back


def _rows(samples: Sequence[Sample], by_second: Counter[int], duration_s: float) -> list[list[str]]:
    rows = []
    window_s = duration_s / ROWS
    first = _per_second(by_second, 0, window_s)
    for place in range(ROWS):
        begin_s, end_s = place * window_s, (place + 1) * window_s
        within = [sample for sample in samples if begin_s < sample.at_s <= end_s]
        if not within or not first:
            continue
        speed, last = _per_second(by_second, begin_s, end_s), within[-1]
        sizes = [last.server_bytes, last.table_bytes, last.index_bytes]
        rows.append(
            [
                f"{end_s / 60:.1f}",
                f"{speed / first:.2f}",
                f"{speed:,.0f}",
                *[f"{size / MIB:.1f}" for size in sizes],
                f"{last.dead_rows:,}",
            ]
        )
    return rows


def _per_second(by_second: Counter[int], begin_s: float, end_s: float) -> float:
    seconds = range(round(begin_s), round(end_s))
    return sum(by_second[second] for second in seconds) / max(1, len(seconds))


def _plotted(folder: Path, samples: Sequence[Sample], by_second: Counter[int]) -> list[Path]:
    """One picture each of speed, memory and sizes over time."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    minutes = [sample.at_s / 60 for sample in samples]
    step = max(1, round(samples[0].at_s)) if samples else 1
    starts = range(0, max(by_second, default=0) - step + 2, step)
    curves: dict[str, tuple[str, list[float], dict[str, list[float]]]] = {
        "throughput": (
            "messages/s",
            [(start + step / 2) / 60 for start in starts],
            {"full cycles": [_per_second(by_second, start, start + step) for start in starts]},
        ),
        "memory": ("MiB", minutes, {"server": [sample.server_bytes / MIB for sample in samples]}),
        "sizes": (
            "MiB",
            minutes,
            {
                "table": [sample.table_bytes / MIB for sample in samples],
                "its indexes": [sample.index_bytes / MIB for sample in samples],
            },
        ),
    }
    made = []
    for name, (unit, at, lines) in curves.items():
        figure = Figure(figsize=(8, 3), layout="constrained")
        axes = figure.subplots()
        for label, values in lines.items():
            axes.plot(at, values, label=label)
        highest = max((value for values in lines.values() for value in values), default=0)
        axes.set(xlabel="minutes", ylabel=unit, ylim=(0, 1.1 * highest or 1))
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)
        path = folder / f"soak-{name}.png"
        figure.savefig(path, dpi=110, metadata={"Software": None})
        made.append(path)
    return made
