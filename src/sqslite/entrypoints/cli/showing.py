"""Messages, queues and counts as the commands print them: JSON as REST has it, or tables."""

from collections.abc import Iterable
from typing import Any

import click
import msgspec
from msgspec.structs import asdict
from rich.console import Console

from sqslite.domain.messages import BodyKind, Received, ReceivedMessage
from sqslite.domain.ports import Depth, Totals
from sqslite.domain.queues import NamedQueue
from sqslite.domain.redrive import RedriveTask
from sqslite.entrypoints.cli.tables import Row, drawn
from sqslite.wire.bodies import to_json


def message_row(message: ReceivedMessage, **more: Any) -> dict[str, Any]:
    """A message's fields as REST names them, those that are not set left out."""
    fields = {name: value for name, value in asdict(message).items() if value not in (None, {})}
    fields.pop("deliveries_before")
    if message.body_kind is BodyKind.JSON:
        del fields["body_kind"]
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
        console = Console(highlight=False)
        console.print(drawn(listed, columns, console.width))
    return len(listed)


def print_json(row: Row) -> None:
    """Print one value on one line."""
    click.echo(msgspec.json.encode(row))
