"""The short table: full cycles of sqslite and of others, in one run, with one driver, on one machine."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from rich.table import Table

from benchmarks import report
from benchmarks.contenders import (
    BATCH_QUEUE,
    CONTENDERS,
    SINGLE_QUEUE,
    Contender,
    NotThere,
    Surroundings,
    Target,
    versions,
)
from benchmarks.driver import Driver, driver
from benchmarks.load import Load, Tally
from benchmarks.servers import ProcessTree, postgres_server, scratch

COLUMNS = (
    "",
    "to sqslite, PG",
    "of ceiling",
    "messages/s",
    "p50 ms",
    "p99 ms",
    "driver µs",
    "server µs",
    "PG µs",
    "lost, doubled",
)
EXPLANATION = (
    "A cycle is enqueue, receive, ack; p50 and p99 are of whole cycles, of all the messages in a batch. First of all "
    "the ratios of messages/s: to the row sqslite, PostgreSQL, and to the ceiling. µs: CPU time for each message. Each "
    "message that was enqueued must have been acked once: what was not is lost, what was more often is doubled."
)
REFERENCE, CEILING = "postgres", "litestar"
CONNECTING_S = 0.5
BATCH = 100
# Enough to keep every server busy with batches; more only makes the line longer.
BATCH_CONNECTIONS = 8


@dataclass(frozen=True)
class Measurement:
    """What a load of one kind did to a contender, CPU in microseconds for each message; or why there is nothing."""

    name: str
    key: str
    per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    driver_us: float | None = None
    server_us: float | None = None
    postgres_us: float | None = None
    balance: str = ""
    instead: str = ""


@dataclass(frozen=True)
class Kind:
    """A section of the table."""

    title: str
    queue: str
    batch: int
    connections: int
    flow: str = ""
    """Where it is another than the contender's own."""


def run(*, seconds: float, connections: int, processes: int, only: Sequence[str], markdown: bool) -> bool:
    """Measure, print the table, and tell whether sqslite answered, and has neither lost nor doubled anything."""
    kinds = (
        Kind(f"one message a call, {connections} connections", SINGLE_QUEUE, 1, connections),
        Kind(f"batches of {BATCH}, {BATCH_CONNECTIONS} connections", BATCH_QUEUE, BATCH, BATCH_CONNECTIONS),
    )
    chosen = [contender for contender in CONTENDERS if not only or contender.key in only]
    rows_of: dict[Kind, list[Measurement]] = {kind: [] for kind in kinds}
    with scratch() as folder, postgres_server() as database, driver(processes) as drivers:
        around = Surroundings(folder, database)
        remarks = [*report.machine(folder), said(versions(around))]
        for contender in chosen:
            print(f"{contender.name} …", file=sys.stderr)
            for kind, measurement in zip(
                kinds, measured_kinds(contender, around, drivers, kinds, seconds), strict=True
            ):
                rows_of[kind].append(measurement)
    title = f"Full cycles (enqueue, receive, ack), {seconds:g} s for each figure, {processes} driver process(es)"
    made = report.table(title, COLUMNS, markdown=markdown)
    for kind, rows in rows_of.items():
        fill(made, kind, rows, (REFERENCE, CEILING))
    everything = [row for rows in rows_of.values() for row in rows]
    report.show(made, [*reasons(everything), EXPLANATION, *remarks])
    return sound(everything)


def reasons(rows: Sequence[Measurement]) -> list[str]:
    """Why there are no figures of those of which there are none, each once."""
    return list(dict.fromkeys(f"{row.name}: {row.instead}." for row in rows if row.instead))


def sound(rows: Sequence[Measurement]) -> bool:
    """Whether sqslite answered everything, and has neither lost nor doubled a message."""
    return all(row.balance.startswith("0, 0") for row in rows if row.name.startswith("sqslite"))


def measured_kinds(
    contender: Contender, around: Surroundings, drivers: Driver, kinds: Sequence[Kind], seconds: float
) -> list[Measurement]:
    """What each kind of load did to the contender, which is started for it."""
    done: list[Measurement] = []
    try:
        with contender.start(around) as target:
            for kind in kinds:
                done.append(measured(contender, target, drivers, kind, seconds))
    except NotThere as absent:
        reason = f"not there: {absent}"
    except Exception as failed:
        reason = f"failed: {type(failed).__name__}: {failed}"
    else:
        return done
    return [*done, *[Measurement(contender.name, contender.key, instead=reason) for _ in kinds[len(done) :]]]


def measured(contender: Contender, target: Target, drivers: Driver, kind: Kind, seconds: float) -> Measurement:
    """What a load of that kind did to the running contender."""
    starts_at = time.monotonic() + CONNECTING_S + contender.warm_up_s
    batch = min(kind.batch, contender.batch_max)
    flow = kind.flow or contender.flow
    load = Load(flow, target.address, kind.queue, kind.connections, batch, starts_at, starts_at + seconds)
    running = drivers.start(load)
    used = _cpu_used_s(target, load)
    tally = running.tally()
    if not tally.messages:
        raise RuntimeError("not one cycle ended in time")
    percentiles = quantiles(tally.latencies_ms, n=100) if len(tally.latencies_ms) > 1 else tally.latencies_ms * 99
    server_us, postgres_us = [None if cpu_s is None else cpu_s / tally.messages * 1e6 for cpu_s in used]
    return Measurement(
        contender.name if batch == kind.batch else f"{contender.name} (of {batch})",
        contender.key,
        tally.messages / seconds,
        percentiles[49],
        percentiles[98],
        tally.cpu_s / tally.messages * 1e6,
        server_us,
        postgres_us,
        balance(tally) if contender.keeps else "–",
    )


def _cpu_used_s(target: Target, load: Load) -> list[float | None]:
    """CPU seconds that server and PostgreSQL use between start and end of the load, which this waits for."""
    trees = (target.server, target.postgres)
    time.sleep(max(0.0, load.starts_at - time.monotonic()))
    before_s = [_cpu_s(tree) for tree in trees]
    time.sleep(max(0.0, load.ends_at - time.monotonic()))
    after_s = [_cpu_s(tree) for tree in trees]
    return [
        None if before is None or after is None else after - before
        for before, after in zip(before_s, after_s, strict=True)
    ]


def _cpu_s(tree: ProcessTree | None) -> float | None:
    return None if tree is None else tree.cpu_s()


def balance(tally: Tally) -> str:
    """How many of the messages enqueued were never acked, and how many deliveries were one too many."""
    enqueued, acked = Counter(tally.enqueued), Counter(tally.acked)
    lost, doubled = enqueued - acked, acked - enqueued
    return f"{lost.total():,}, {doubled.total():,} of {enqueued.total():,}"


def fill(made: Table, kind: Kind, rows: Sequence[Measurement], compared_with: Sequence[str]) -> None:
    """Add a section: figures of each, first of all its messages/s as ratios to those of the rows of these keys."""
    by_key = {row.key: row.per_second for row in rows if not row.instead}
    report.add_heading(made, kind.title)
    for row in rows:
        if row.instead:
            made.add_row(row.name, row.instead.partition(":")[0])
            continue
        made.add_row(
            row.name,
            *[_ratio(row.per_second, by_key.get(key)) for key in compared_with],
            f"{row.per_second:,.0f}",
            f"{row.p50_ms:.1f}",
            f"{row.p99_ms:.1f}",
            *["" if cpu is None else f"{cpu:,.0f}" for cpu in (row.driver_us, row.server_us, row.postgres_us)],
            row.balance,
        )


def _ratio(figure: float, of: float | None) -> str:
    return f"{figure / of:.2f}" if of else ""


def said(parts: dict[str, str]) -> str:
    """What took part, in a sentence."""
    return (
        "; ".join(f"{name} {value}" if " " not in name else f"{name} ({value})" for name, value in parts.items()) + "."
    )
