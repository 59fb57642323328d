"""The summary of a load test, in words and tables for a terminal."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sqslite.entrypoints.loadtest.result import Latency, Result, Verdict

MARKS = {Verdict.KEPT: "✓", Verdict.BROKEN: "✗", Verdict.INCOMPLETE: "?"}
STYLES = {Verdict.KEPT: "bold green", Verdict.BROKEN: "bold red", Verdict.INCOMPLETE: "bold yellow"}
# Above it, this process may be what limits the rate.
CPU_SHARE_BUSY = 0.9


def print_report(result: Result, console: Console) -> None:
    """Print all of it but the course over time."""
    console.print(Text(headline(result), "bold"), soft_wrap=True)
    console.print(Text(conditions(result)), soft_wrap=True)
    console.print()
    console.print(_latency_table(result))
    console.print()
    for name, value in figures(result):
        console.print(Text(f"{name:<11}{value}"), soft_wrap=True)
    for remark in remarks(result):
        console.print(Text(f"! {remark}", "yellow"), soft_wrap=True)
    console.print(Text(f"{MARKS[result.verdict]} {finding(result)}", STYLES[result.verdict]), soft_wrap=True)
    for example in result.check.examples:
        console.print(Text(f"  {example}", "red"), soft_wrap=True)


def headline(result: Result) -> str:
    """What was measured in one line: the rates."""
    return f"{result.enqueued_per_second:,.0f} messages/s enqueued, {result.acked_per_second:,.0f} acked"


def conditions(result: Result) -> str:
    """Under which conditions."""
    plan = result.plan
    pace = "closed loop" if plan.rate is None else f"{plan.rate:,g} messages/s"
    sizes = f"{plan.body_bytes_min:,}"
    sizes += f" to {plan.body_bytes_max:,}" if plan.body_bytes_max > plan.body_bytes_min else ""
    said = [
        f"{result.url}: {pace}, {result.load_s:,.1f} s",
        _many(plan.producers, "producer"),
        _many(plan.consumers, "consumer"),
        f"batches of {plan.batch}" if plan.batch > 1 else "",
        f"bodies of {sizes} bytes",
        f"work of {plan.work_ms:,} ms" if plan.work_ms else "",
        f"{plan.crash_rate:.1%} of deliveries crash" if plan.crash_rate else "",
        f"{_many(plan.groups, 'group')} in order" if plan.groups else "",
    ]
    return ", ".join(filter(None, said))


def latencies(result: Result) -> Iterator[tuple[str, Latency]]:
    """What was measured, by name."""
    yield "enqueue", result.enqueue_ms
    yield "receive", result.receive_ms
    yield "ack", result.ack_ms
    yield "dwell", result.dwell_ms


def figures(result: Result) -> Iterator[tuple[str, str]]:
    """The counts, in words."""
    unknown = f", {result.unknown:,} unknown ({result.unknown_delivered:,} of them came)" if result.unknown else ""
    refused = f", {result.refused:,} refused" if result.refused else ""
    yield "sent", f"{result.sent:,}: {result.accepted:,} accepted{refused}{unknown}"
    again = {
        "after crashes": result.redelivered_after_crash,
        "after leases that ended": result.redelivered_after_lease,
    }
    told = ", ".join(f"{count:,} {why}" for why, count in again.items() if count)
    yield "delivered", f"{result.deliveries:,}" + (f", again {told}" if told else "")
    unsure = f", {result.ack_unknown:,} unknown" if result.ack_unknown else ""
    yield "acked", f"{result.acked:,}{unsure}"
    yield "drained", f"in {result.drain_s:,.1f} s" if not result.check.left else f"not in {result.drain_s:,.1f} s"
    for call, codes in result.errors.items():
        yield "errors", f"{call}: " + ", ".join(f"{count:,} {code}" for code, count in codes.items())


def remarks(result: Result) -> Iterator[str]:
    """What whoever reads the figures should know."""
    if result.stopped_early:
        yield "It was stopped early."
    if result.cpu_share > CPU_SHARE_BUSY:
        yield f"This process used {result.cpu_share:.0%} of a core: it may be the limit, rather than the server."
    if result.missed:
        yield f"{result.missed:,} messages of the rate were not sent: all producers were busy (--producers)."
    if result.foreign:
        yield f"{result.foreign:,} deliveries were of messages that somebody else had sent; they were left alone."
    if not result.queue_deleted:
        yield f"The queue {result.plan.queue} is still there."


def finding(result: Result) -> str:
    """The verdict in a sentence."""
    check = result.check
    if result.verdict is Verdict.KEPT:
        order = ", order kept" if result.plan.groups else ""
        return f"Nothing lost, nothing doubled{order}: all {result.accepted:,} accepted messages are accounted for."
    if result.verdict is Verdict.BROKEN:
        found = {
            "lost": check.lost,
            "doubled": check.doubled,
            "out of order": check.disordered,
            "altered": check.altered,
            "delivered though refused": check.refused_delivered,
        }
        return "Broken: " + ", ".join(f"{count:,} {what}" for what, count in found.items() if count) + "."
    if not result.accepted:
        return "No message was accepted, so nothing could be checked."
    if check.left is None:
        return "The queue could not be looked at in the end, so nobody knows whether a message is lost."
    return f"Not all could be checked: {check.left:,} messages were still in the queue."


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _latency_table(result: Result) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("milliseconds")
    for column in ("count", "p50", "p90", "p99", "p99.9", "max"):
        made.add_column(column, justify="right")
    for name, measured in latencies(result):
        values = (measured.p50, measured.p90, measured.p99, measured.p99_9, measured.max)
        made.add_row(name, f"{measured.count:,}", *map(shown_ms, values))
    return made


def shown_ms(latency_ms: float | None) -> str:
    """A latency with three significant digits."""
    if latency_ms is None:
        return "–"
    return f"{latency_ms:,.0f}" if latency_ms >= 100 else f"{latency_ms:.3g}"
