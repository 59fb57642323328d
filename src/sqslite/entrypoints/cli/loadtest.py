"""The command that loads a server and checks that it keeps every message."""

import asyncio
import re
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sqslite.domain.errors import InvalidValue, OutcomeUnknown, StoreUnavailable
from sqslite.entrypoints.cli.asking import EXIT_REFUSED, EXIT_UNREACHABLE, URL_DEFAULT, fail, showing

if TYPE_CHECKING:
    from sqslite.entrypoints.loadtest.plan import Plan
    from sqslite.entrypoints.loadtest.result import Result

SIZES = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


@click.command()
@click.option(
    "--url",
    envvar="SQSLITE_URL",
    default=URL_DEFAULT,
    show_default=True,
    help="http://… for REST, grpc://host:port for gRPC. [SQSLITE_URL]",
)
@click.option("--rate", type=float, help="Messages a second, whatever the answers.  [default: as fast as answered]")
@click.option("--seconds", type=float, default=10.0, show_default=True, help="How long to send.")
@click.option("--messages", type=int, help="How many to send at most.")
@click.option("--producers", type=int, default=8, show_default=True, help="How many send at once.")
@click.option("--consumers", type=int, default=16, show_default=True, help="How many receive at once.")
@click.option("--batch", type=int, default=1, show_default=True, help="Messages of one call.")
@click.option("--body-bytes", default="200", show_default=True, help="Size of a body, or a range: 200-4000.")
@click.option("--visibility-ms", type=int, default=10_000, show_default=True, help="How long a lease lasts.")
@click.option("--wait-ms", type=int, default=1_000, show_default=True, help="How long a receive waits.")
@click.option("--work-ms", type=int, default=0, show_default=True, help="How long a consumer works before its ack.")
@click.option("--crash-rate", type=float, default=0.0, show_default=True, help="Share of deliveries never acked, 0-1.")
@click.option("--groups", type=int, default=0, show_default=True, help="Groups of a FIFO queue; 0: no order.")
@click.option("--queue", help="An empty queue, or a new one.  [default: a new name]")
@click.option("--keep", is_flag=True, help="Leave the queue that was created.")
@click.option(
    "--drain-s", type=float, default=60.0, show_default=True, help="How long to wait for the rest at the end."
)
@click.option("--timeout-s", type=float, default=30.0, show_default=True, help="How long an answer may take.")
@click.option("--seed", type=int, help="The same sizes and crashes each time.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with charts.")
@showing
def loadtest(url: str, html: Path | None, body_bytes: str, as_json: bool, **options: Any) -> None:
    """Load a server, measure it, and check that nothing is lost or doubled.

    Ends with 1 where a message was lost, doubled, altered or out of order, and with 4 where that could not be checked.
    Ctrl-C stops sending, empties the queue and reports; twice, it reports at once.
    """
    # Imported here, because other commands need not wait for it to load.
    from sqslite.entrypoints.loadtest.result import Verdict

    plan = _plan(_sizes(body_bytes), options)
    if html is not None:
        _check_writable(html)
    try:
        result = asyncio.run(_carried_out(url, plan))
    except (StoreUnavailable, OutcomeUnknown) as failure:
        fail(failure)
        sys.exit(EXIT_UNREACHABLE)
    _report(result, html, as_json)
    sys.exit({Verdict.KEPT: 0, Verdict.BROKEN: EXIT_REFUSED, Verdict.INCOMPLETE: EXIT_UNREACHABLE}[result.verdict])


def _plan(sizes: tuple[int, int], options: dict[str, Any]) -> "Plan":
    from sqslite.entrypoints.loadtest.plan import Plan

    run = secrets.token_hex(4)
    given = {name: value for name, value in options.items() if value is not None}
    least, most = sizes
    return Plan(**{"queue": f"loadtest-{run}", **given}, run=run, body_bytes_min=least, body_bytes_max=most)


def _sizes(text: str) -> tuple[int, int]:
    """The least and the most bytes of a body. Raises InvalidValue."""
    found = SIZES.fullmatch(text)
    if found is None:
        raise InvalidValue("body_bytes", text, "a number of bytes such as 200, or a range such as 200-4000")
    return int(found[1]), int(found[2] or found[1])


def _check_writable(file: Path) -> None:
    """Raise InvalidValue rather than find out when all is over."""
    try:
        file.touch()
    except OSError as fault:
        raise InvalidValue("html", str(file), f"a file that can be written ({fault.strerror})") from None


async def _carried_out(url: str, plan: "Plan") -> "Result":
    from rich.console import Console

    from sqslite.adapters.clock import SteadyClock
    from sqslite.entrypoints.loadtest.progress import Progress
    from sqslite.entrypoints.loadtest.run import LoadTest
    from sqslite.entrypoints.loadtest.target import reached

    # One for each who calls, and one for whoever looks after the queue.
    connections = plan.producers + plan.consumers + 1
    async with reached(url, connections, plan.timeout_s) as target:
        with Progress(plan, Console(stderr=True, highlight=False)) as progress:
            test = LoadTest(url, plan, target, SteadyClock(), time.process_time, progress.show)
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, test.stop)
            return await test.run()


def _report(result: "Result", html: Path | None, as_json: bool) -> None:
    if html is not None:
        from sqslite.entrypoints.loadtest.page import page

        html.write_text(page(result))
    if as_json:
        click.echo(msgspec.json.encode(result))
        return
    from rich.console import Console

    from sqslite.entrypoints.loadtest.report import print_report

    print_report(result, Console(highlight=False))
