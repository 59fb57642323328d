"""Commands about queues."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import IO, Any

import click
import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.live import Live

from sqslite.domain.errors import InvalidValue, QueueNotFound
from sqslite.domain.limits import PAGE_MAX, check_queue_name
from sqslite.domain.queues import NamedQueue, QueueSettings
from sqslite.entrypoints.cli.asking import asking, client, showing
from sqslite.entrypoints.cli.lines import READ_AT_ONCE_MAX
from sqslite.entrypoints.cli.messages import send_lines
from sqslite.entrypoints.cli.showing import (
    message_row,
    print_json,
    print_rows,
    queue_row,
    stats_row,
    task_row,
)
from sqslite.entrypoints.cli.tables import drawn
from sqslite.entrypoints.client import Client

STATS_COLUMNS = ("queue", "ready", "delayed", "in_flight", "oldest_ready_age_ms", "enqueued_total", "acked_total")
FIELDS = ", ".join(QueueSettings.__struct_fields__)


@click.group()
def queues() -> None:
    """List queues, create them, change their settings, delete them."""


@queues.command("list")
@click.option("--prefix", default="", help="Only queues whose names start so.")
@asking
@showing
def list_queues(prefix: str, url: str, as_json: bool) -> None:
    """List queues with the settings that differ from the service's."""
    with client(url) as asked:
        print_rows(map(queue_row, _all(asked, prefix)), as_json)


@queues.command()
@click.argument("queue")
@click.argument("settings", nargs=-1, metavar="FIELD=VALUE…")
@asking
@showing
def create(queue: str, settings: tuple[str, ...], url: str, as_json: bool) -> None:
    """Create a queue; one that is there already is refused.

    Values are JSON: `fifo=true visibility_ms=60000 dlq=failed backoff={"kind":"exponential"}`.
    """
    with client(url) as asked:
        with contextlib.suppress(QueueNotFound):
            asked.administration.get(queue)
            raise InvalidValue("queue", queue, "new; change it with `sqslite queues set`")
        made, _ = asked.administration.put(queue, _changed(QueueSettings(), settings))
        print_rows([queue_row(made)], as_json)


@queues.command("set")
@click.argument("queue")
@click.argument("settings", nargs=-1, required=True, metavar="FIELD=VALUE…")
@asking
@showing
def set_queue(queue: str, settings: tuple[str, ...], url: str, as_json: bool) -> None:
    """Change settings of a queue and leave the others as they are; null means the service's default."""
    with client(url) as asked:
        changed = _changed(asked.administration.get(queue).settings, settings)
        print_rows([queue_row(asked.administration.put(queue, changed)[0])], as_json)


@queues.command()
@click.argument("queue")
@click.confirmation_option(prompt="Delete the queue with all its messages?")
@asking
def delete(queue: str, url: str) -> None:
    """Delete a queue with all its messages."""
    with client(url) as asked:
        asked.administration.delete(queue)


@click.command()
@click.argument("queue")
@click.confirmation_option(prompt="Delete all messages of the queue?")
@asking
def purge(queue: str, url: str) -> None:
    """Delete all messages of a queue."""
    with client(url) as asked:
        asked.administration.purge(queue)


@click.command()
@click.argument("queue")
@asking
def pause(queue: str, url: str) -> None:
    """Give nothing out of a queue until it is resumed."""
    with client(url) as asked:
        asked.administration.pause(queue)


@click.command()
@click.argument("queue")
@asking
def resume(queue: str, url: str) -> None:
    """Give messages of a queue out again."""
    with client(url) as asked:
        asked.administration.resume(queue)


@click.command()
@click.argument("names", nargs=-1, metavar="[QUEUE…]")
@click.option("--watch", is_flag=True, help="Show them live, until Ctrl-C.")
@click.option(
    "--every", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="Seconds, with --watch."
)
@asking
@showing
def stats(names: tuple[str, ...], watch: bool, every: float, url: str, as_json: bool) -> None:
    """Count the messages of queues, by default of all."""
    with client(url) as asked:
        if not watch:
            print_rows(_counted(asked, names), as_json, STATS_COLUMNS)
        elif as_json:
            while True:
                print_rows(_counted(asked, names), as_json)
                sys.stdout.flush()
                time.sleep(every)
        else:
            console = Console(highlight=False)
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    live.update(drawn(list(_counted(asked, names)), STATS_COLUMNS, console.width), refresh=True)
                    time.sleep(every)


@click.command()
@click.argument("queue")
@click.option("--to", help="The queue to move all to; by default each to the queue it came from.")
@click.option("--max-per-second", type=int, help="Messages a second at most.")
@click.option("--limit", type=int, help="Messages at most.")
@click.option("--list", "listing", is_flag=True, help="Show the queue's latest tasks instead.")
@click.option("--cancel", type=int, metavar="TASK", help="End that task instead.")
@asking
@showing
def redrive(
    queue: str, to: str | None, max_per_second: int | None, limit: int | None, listing: bool, cancel: int | None,
    url: str, as_json: bool,
) -> None:  # fmt: skip
    """Move dead letters on, in the background."""
    if listing + (cancel is not None) + any(option is not None for option in (to, max_per_second, limit)) > 1:
        raise click.UsageError("give --list, or --cancel, or what a new task needs")
    with client(url) as asked:
        if listing:
            tasks = list(asked.redriving.page(queue))
        elif cancel is not None:
            tasks = [asked.redriving.cancel(queue, cancel)]
        else:
            tasks = [asked.redriving.start(queue, to, max_per_second, limit)]
        print_rows(map(task_row, tasks), as_json)


@click.command("export")
@click.argument("queue")
@asking
def export_queue(queue: str, url: str) -> None:
    """Write a queue's messages as JSON lines, without leasing them; `sqslite import` reads them.

    What changes its state meanwhile may be missed or come twice: pause the queue first.
    """
    with client(url) as asked:
        after: str | None = None
        while True:
            page = asked.inspection.peek(queue, None, after, READ_AT_ONCE_MAX)
            for _, message in page.messages:
                print_json(message_row(message))
            if page.after is None:
                return
            after = page.after


@click.command("import")
@click.argument("queue")
@click.argument("file", type=click.File("rb"), default="-")
@asking
@showing
def import_queue(queue: str, file: IO[bytes], url: str, as_json: bool) -> None:
    """Enqueue the messages of a file of JSON lines, by default standard input, as new ones."""
    send_lines(queue, file, url, as_json)


def _all(asked: Client, prefix: str = "") -> Iterator[NamedQueue]:
    after = ""
    while page := asked.administration.page(prefix, after, PAGE_MAX):
        yield from page
        after = page[-1].name


def _counted(asked: Client, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for name in names or [queue.name for queue in _all(asked)]:
        try:
            yield stats_row(*asked.inspection.stats(check_queue_name("queue", name)))
        except QueueNotFound:
            # One that was deleted since it was listed is no reason to end.
            if names:
                raise


def _changed(settings: QueueSettings, changes: tuple[str, ...]) -> QueueSettings:
    """The settings with those changes. Raises InvalidValue naming what is none."""
    fields: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or name not in QueueSettings.__struct_fields__:
            raise InvalidValue("setting", change, f"FIELD=VALUE with a field of {FIELDS}")
        try:
            fields[name] = msgspec.json.decode(text.encode())
        except msgspec.DecodeError:
            # dlq=failed is what people write.
            fields[name] = text
    try:
        given = msgspec.convert(fields, QueueSettings)
    except msgspec.ValidationError as fault:
        raise InvalidValue("setting", " ".join(changes), f"of the field's type ({fault})") from None
    return replace(settings, **{name: getattr(given, name) for name in fields})
