"""Messages, queues and counts as the commands print them: JSON as REST has it, or tables."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from msgspec.structs import asdict
from rich.console import Console
from rich.table import Table

from sqslite.domain.messages import Received, ReceivedMessage
from sqslite.domain.ports import Depth, Totals
from sqslite.domain.queues import NamedQueue
from sqslite.domain.redrive import RedriveTask
from sqslite.wire.bodies import to_json

CELL_CHARS_MAX = 60

Row = Mapping[str, Any]


def message_row(message: ReceivedMessage, **more: Any) -> dict[str, Any]:
    """A message's fields as REST names them, those that are not set left out."""
    fields = {name: value for name, value in asdict(message).items() if value not in (None, {}, "json")}
    fields.pop("deliveries_before")
    fields["body"] = msgspec.Raw(to_json(message.body, message.body_kind))
    return {"id": fields.pop("id"), **more, **fields, "fence": message.fence}


def delivery_row(delivery: Received) -> dict[str, Any]:
    """A delivered message with its receipt."""
    return message_row(delivery.message, receipt=delivery.receipt.token())


def queue_row(queue: NamedQueue) -> dict[str, Any]:
    """A queue with those settings that differ from the service's defaults."""
    settings = {
        name: value
        for name, value in asdict(queue.settings).items()
        if value != type(queue.settings)().__getattribute__(name)
    }
    return {"queue": queue.name, **settings, **({"paused": True} if queue.paused else {})}


def stats_row(depth: Depth, totals: Totals) -> dict[str, Any]:
    """A queue's counts, as REST names them."""
    counts = {name: value for name, value in asdict(depth).items() if name != "approximate" or value}
    return {**counts, **{f"{name}_total": value for name, value in asdict(totals).items()}}


def task_row(task: RedriveTask) -> dict[str, Any]:
    """A redrive task."""
    return {name: value for name, value in asdict(task).items() if value is not None}


def print_rows(rows: Iterable[Row], as_json: bool, columns: tuple[str, ...] = ()) -> int:
    """Print the rows; into a table go the columns that any row has, or just those named. How many there were."""
    if as_json:
        count = 0
        for row in rows:
            print_json(row)
            count += 1
        return count
    listed = list(rows)
    if listed:
        Console(highlight=False).print(table(listed, columns))
    return len(listed)


def print_json(row: Row) -> None:
    """Print one value on one line."""
    click.echo(msgspec.json.encode(row))


def table(rows: list[Row], columns: tuple[str, ...] = ()) -> Table:
    """The rows for a person."""
    named = columns or tuple(dict.fromkeys(name for row in rows for name in row))
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in named:
        numeric = all(isinstance(row.get(name), int | float | None) for row in rows)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(row.get(name)) for name in named))
    return drawn


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= CELL_CHARS_MAX else f"{text[:CELL_CHARS_MAX]}…"
