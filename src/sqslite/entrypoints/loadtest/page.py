"""The summary of a load test as a page with charts, which needs nothing but a browser."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files
from string import Template

from sqslite.entrypoints.loadtest.charts import Line, chart
from sqslite.entrypoints.loadtest.report import (
    MARKS,
    conditions,
    figures,
    finding,
    headline,
    latencies,
    remarks,
    shown_ms,
)
from sqslite.entrypoints.loadtest.result import Result


def page(result: Result) -> str:
    """The page, in HTML."""
    template = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        url=escape(result.url),
        verdict=result.verdict,
        mark=MARKS[result.verdict],
        headline=escape(headline(result)),
        conditions=escape(conditions(result)),
        finding=escape(finding(result)),
        examples=_listed([*result.check.examples, *remarks(result)]),
        tiles=_tiles(result),
        throughput=_throughput(result),
        latency=_latency(result),
        table=_table(result),
        words=_words(figures(result)),
    )


def _tiles(result: Result) -> str:
    shown = {
        "enqueued / s": f"{result.enqueued_per_second:,.0f}",
        "acked / s": f"{result.acked_per_second:,.0f}",
        "ms enqueue, p99": shown_ms(result.enqueue_ms.p99),
        "ms dwell, p99": shown_ms(result.dwell_ms.p99),
        "lost": f"{result.check.lost:,}",
        "doubled": f"{result.check.doubled:,}",
    }
    return "".join(
        f'<section><b>{value}</b><span class="soft">{name}</span></section>' for name, value in shown.items()
    )


def _throughput(result: Result) -> str:
    points = result.points
    lines = [
        Line("enqueued", "a", [point.enqueued_per_second for point in points]),
        Line("acked", "b", [point.acked_per_second for point in points]),
    ]
    if result.errors:
        lines.append(Line("errors", "d", [point.errors_per_second for point in points]))
    return chart([point.at_s for point in points], lines, "messages a second")


def _latency(result: Result) -> str:
    points = result.points
    lines = [
        Line("enqueue p50", "a", [point.enqueue_p50 for point in points]),
        Line("enqueue p99", "d", [point.enqueue_p99 for point in points]),
        Line("dwell p50", "b", [point.dwell_p50 for point in points]),
        Line("dwell p99", "c", [point.dwell_p99 for point in points]),
    ]
    return chart([point.at_s for point in points], lines, "milliseconds", logarithmic=True)


def _table(result: Result) -> str:
    heads = "".join(f"<th>{name}</th>" for name in ("", "count", "p50", "p90", "p99", "p99.9", "max"))
    rows = []
    for name, measured in latencies(result):
        values = (measured.p50, measured.p90, measured.p99, measured.p99_9, measured.max)
        cells = "".join(f"<td>{shown_ms(value)}</td>" for value in values)
        rows.append(f"<tr><th>{name}</th><td>{measured.count:,}</td>{cells}</tr>")
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _words(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in pairs)
    return f"<table><tbody>{rows}</tbody></table>"


def _listed(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""
