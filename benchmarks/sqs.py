"""The SQS API beside other servers that speak it, and what its SendMessage costs beside the REST enqueue."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median

from benchmarks import comparison, elasticmq, report
from benchmarks.comparison import Kind, Measurement
from benchmarks.contenders import (
    BATCH_QUEUE,
    SINGLE_QUEUE,
    Contender,
    Surroundings,
    Target,
    create_queues,
    memory,
    moto,
    on_postgres,
    sqlite,
    versions,
)
from benchmarks.driver import Driver, driver
from benchmarks.servers import postgres_server, scratch
from benchmarks.sqs_flows import SQS_BATCH_MAX

JSON, QUERY = "sqs", "sqs-query"
Start = Callable[[Surroundings], AbstractContextManager[Target]]


def with_queues(start: Start) -> Start:
    """A server that has the queues."""

    @contextlib.contextmanager
    def started(around: Surroundings) -> Iterator[Target]:
        with start(around) as target:
            create_queues(int(target.address), (SINGLE_QUEUE, BATCH_QUEUE))
            yield target

    return started


CONTENDERS = (
    Contender("memory", "sqslite, memory", JSON, with_queues(memory)),
    Contender("sqlite", "sqslite, SQLite", JSON, with_queues(sqlite)),
    Contender("postgres", "sqslite, PostgreSQL", JSON, with_queues(on_postgres(1))),
    Contender("elasticmq", "ElasticMQ, memory", JSON, elasticmq.elasticmq, warm_up_s=elasticmq.WARM_UP_S),
    Contender("moto", "moto's server", JSON, moto),
)
# moto's is so much slower that a second protocol would say nothing more.
JSON_ONLY = frozenset({"moto"})
REFERENCE = "postgres"
COLUMNS = tuple(column for column in comparison.COLUMNS if column != "of ceiling")
EXPLANATION = (
    "A cycle is SendMessage, ReceiveMessage, DeleteMessage, or their batches; no signature is checked. The ratio is "
    "that of messages/s to the row sqslite, PostgreSQL. µs: CPU time for each message. Each message that was sent must "
    "have been deleted once: what was not is lost, what was more often is doubled. ElasticMQ is warmed up for "
    f"{elasticmq.WARM_UP_S:g} s before each figure, all others for one."
)
# In turns, because a shared machine's speed changes from one second to the next.
TURNS = 5
ALONE = {"the REST enqueue": "rest-enqueue", "JSON": "sqs-send", "Query": "sqs-query-send"}
ALONE_COLUMNS = ("server CPU of", *[f"{name}, of the REST enqueue" for name in ("JSON", "Query")], *ALONE)


@dataclass(frozen=True)
class Section:
    """A part of the table, and whom it leaves out."""

    kind: Kind
    without: frozenset[str] = frozenset()


def run(*, seconds: float, connections: int, only: Sequence[str], markdown: bool) -> bool:
    """Measure, print both tables, and tell whether sqslite has answered, and neither lost nor doubled anything."""
    chosen = [contender for contender in CONTENDERS if not only or contender.key in only]
    sections = [
        Section(Kind(f"{protocol}, {title}, {connections} connections", queue, batch, connections, flow), without)
        for protocol, flow, without in (("JSON", JSON, frozenset[str]()), ("Query", QUERY, JSON_ONLY))
        for title, queue, batch in (("one message a call", SINGLE_QUEUE, 1), ("in tens", BATCH_QUEUE, SQS_BATCH_MAX))
    ]
    rows: dict[Section, list[Measurement]] = {section: [] for section in sections}
    with scratch() as folder, postgres_server() as database, driver(1) as drivers:
        around = Surroundings(folder, database)
        remarks = [*report.machine(folder), comparison.said(versions(around) | {"ElasticMQ": elasticmq.version()})]
        for contender in chosen:
            print(f"{contender.name} …", file=sys.stderr)
            own = [section for section in sections if contender.key not in section.without]
            kinds = [section.kind for section in own]
            measured = comparison.measured_kinds(contender, around, drivers, kinds, seconds)
            for section, measurement in zip(own, measured, strict=True):
                rows[section].append(measurement)
        beside = [
            (contender.name, _alone(contender, around, drivers, connections, seconds / TURNS))
            for contender in chosen
            if contender.name.startswith("sqslite")
        ]
    everything = [row for section in sections for row in rows[section]]
    made = report.table(f"The SQS API, full cycles, {seconds:g} s for each figure", COLUMNS, markdown=markdown)
    for section in sections:
        comparison.fill(made, section.kind, rows[section], [REFERENCE])
    report.show(made, [*comparison.reasons(everything), EXPLANATION, *remarks])
    print()
    _show_alone(beside, connections, markdown=markdown)
    return comparison.sound(everything)


def _alone(
    contender: Contender, around: Surroundings, drivers: Driver, connections: int, seconds: float
) -> dict[str, float]:
    """CPU µs of the server for a message, by wire: the median of several turns, each wire once in each."""
    print(f"{contender.name}, SendMessage …", file=sys.stderr)
    figures: dict[str, list[float]] = {name: [] for name in ALONE}
    with contender.start(around) as target:
        for _ in range(TURNS):
            for name, flow in ALONE.items():
                kind = Kind(name, SINGLE_QUEUE, 1, connections, flow)
                measurement = comparison.measured(contender, target, drivers, kind, seconds)
                assert measurement.server_us is not None
                figures[name].append(measurement.server_us)
    return {name: median(own) for name, own in figures.items()}


def _show_alone(beside: Sequence[tuple[str, dict[str, float]]], connections: int, *, markdown: bool) -> None:
    title = f"SendMessage beside the REST enqueue: CPU µs a message, {connections} connections, median of {TURNS} turns"
    made = report.table(title, ALONE_COLUMNS, markdown=markdown)
    for name, own in beside:
        rest_us = own["the REST enqueue"]
        ratios = [f"{own[wire] / rest_us:.2f}" for wire in ("JSON", "Query")]
        made.add_row(name, *ratios, *[f"{us:,.0f}" for us in own.values()])
    report.show(made)
