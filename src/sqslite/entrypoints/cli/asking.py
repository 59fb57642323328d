"""What the commands that speak to sqslite have in common: whom they ask, how they show it, how they end."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from sqslite.domain.errors import OutcomeUnknown, SqsliteError, StoreUnavailable
from sqslite.entrypoints.client import Client
from sqslite.entrypoints.logs import configure_logging

EXIT_REFUSED = 1
EXIT_NOTHING = 3
EXIT_UNREACHABLE = 4
# As a shell says of what SIGINT ended.
EXIT_INTERRUPTED = 130
URL_DEFAULT = "http://localhost:8080"

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def asking(command: F) -> F:
    """Give a command `url` and the options that all have who ask."""
    with_url = click.option(
        "--url",
        envvar="SQSLITE_URL",
        default=URL_DEFAULT,
        show_default=True,
        help="A server, or sqlite:///… or postgresql://… for a store without one. [SQSLITE_URL]",
    )
    return with_url(command)


def showing(command: F) -> F:
    """Give a command `as_json`: whether it prints JSON, one value a line, rather than tables for people."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON, a value a line; the default into a pipe.")
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, **options: Any) -> Any:
        # There is none where the command was started with its standard output closed.
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        return command(*args, as_json=as_json or not on_terminal, **options)

    return wrapped  # type: ignore[return-value]  # it is called with one option more


@contextmanager
def client(url: str) -> Iterator[Client]:
    """A client of whoever is at the URL; the command ends where nobody answers."""
    # A store in this process logs like a server does, and that belongs to standard error.
    configure_logging("error")
    try:
        with Client(url) as open_client:
            yield open_client
    except (StoreUnavailable, OutcomeUnknown) as failure:
        fail(failure)
        sys.exit(EXIT_UNREACHABLE)


def granted(result: T | SqsliteError) -> T:
    """The result, or the refusal raised."""
    if isinstance(result, SqsliteError):
        raise result
    return result


def fail(refusal: SqsliteError) -> None:
    """Say on standard error why one of several was refused."""
    click.echo(f"sqslite: {refusal}", err=True)


def write_no_more() -> None:
    """Forget what could not be written, for want of a reader or of room: Python tries it again at its end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
