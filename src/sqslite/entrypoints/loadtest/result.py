"""What came of a load test, as its reports show it."""

import enum
from collections.abc import Iterator

from msgspec import Struct

from sqslite.entrypoints.loadtest.latencies import PERCENTILES, Histogram, Measures
from sqslite.entrypoints.loadtest.ledger import Check
from sqslite.entrypoints.loadtest.plan import Plan

# A last interval that is shorter says nothing of a rate.
SHARE_MIN = 0.5


class Verdict(enum.StrEnum):
    """What the check came to."""

    KEPT = "kept"
    """Everything accepted was delivered and acked; nothing came twice without a reason."""
    BROKEN = "broken"
    """A message was lost, doubled, altered, out of order, or delivered though it had been refused."""
    INCOMPLETE = "incomplete"
    """Nothing was found, but not everything could be checked."""


class Latency(Struct, frozen=True, kw_only=True):
    """Percentiles in milliseconds, None where nothing was measured; `count` is how many were."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None
    max: float | None


class Point(Struct, frozen=True, kw_only=True):
    """One stretch of time, from `at_s` seconds after the start; latencies in milliseconds, None without any."""

    at_s: float
    enqueued_per_second: float
    acked_per_second: float
    errors_per_second: float
    enqueue_p50: float | None
    enqueue_p99: float | None
    dwell_p50: float | None
    dwell_p99: float | None


class Result(Struct, frozen=True, kw_only=True):
    """The whole of it.

    `load_s` and `drain_s`: how long messages were sent, and how long it took then until the queue was empty or the time
    was up. The rates are those while messages were sent. `missed`: messages that a steady rate asked for and nobody was
    free to send. `foreign`: deliveries of messages that are not of this run. `cpu_share`: how busy this process was, 1
    being a core.
    """

    url: str
    plan: Plan
    stopped_early: bool
    queue_deleted: bool
    load_s: float
    drain_s: float
    sent: int
    accepted: int
    refused: int
    unknown: int
    unknown_delivered: int
    deliveries: int
    acked: int
    ack_unknown: int
    crashes: int
    redelivered_after_crash: int
    redelivered_after_lease: int
    foreign: int
    missed: int
    enqueued_per_second: float
    acked_per_second: float
    enqueue_ms: Latency
    receive_ms: Latency
    ack_ms: Latency
    dwell_ms: Latency
    errors: dict[str, dict[str, int]]
    cpu_share: float
    check: Check
    verdict: Verdict
    points: list[Point]


def verdict_of(check: Check, accepted: int) -> Verdict:
    """What the check came to, where so many messages had been accepted."""
    if check.broken:
        return Verdict.BROKEN
    return Verdict.KEPT if check.complete and accepted else Verdict.INCOMPLETE


def latency_of(measured: Histogram) -> Latency:
    """The percentiles of what was measured."""
    p50, p90, p99, p99_9 = (_rounded(measured.percentile(percent)) for percent in PERCENTILES)
    longest = _rounded(measured.max_ms) if measured.count else None
    return Latency(count=measured.count, p50=p50, p90=p90, p99=p99, p99_9=p99_9, max=longest)


def errors_of(measures: Measures) -> dict[str, dict[str, int]]:
    """How often which call came to which code."""
    found: dict[str, dict[str, int]] = {}
    for (call, code), count in sorted(measures.errors.items()):
        found.setdefault(call, {})[str(code)] = count
    return found


def points_of(measures: Measures, until_s: float) -> Iterator[Point]:
    """The course of it, up to that second."""
    for place, interval in enumerate(measures.intervals):
        at_s = place * measures.interval_s
        length_s = min(until_s - at_s, measures.interval_s)
        if length_s < SHARE_MIN * measures.interval_s and place:
            return
        length_s = max(length_s, 0.001)
        yield Point(
            at_s=at_s,
            enqueued_per_second=round(interval.enqueued / length_s, 1),
            acked_per_second=round(interval.acked / length_s, 1),
            errors_per_second=round(interval.errors / length_s, 1),
            enqueue_p50=_rounded(interval.enqueue.percentile(50)),
            enqueue_p99=_rounded(interval.enqueue.percentile(99)),
            dwell_p50=_rounded(interval.dwell.percentile(50)),
            dwell_p99=_rounded(interval.dwell.percentile(99)),
        )


def _rounded(latency_ms: float | None) -> float | None:
    return None if latency_ms is None else round(latency_ms, 3)
