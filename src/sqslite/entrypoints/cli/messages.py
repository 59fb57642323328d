"""Commands about messages."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from typing import IO, Any, NoReturn

import click
import msgspec
from msgspec.structs import asdict

from sqslite.domain import limits
from sqslite.domain.errors import SqsliteError
from sqslite.domain.inspection import PEEKED_STATES
from sqslite.domain.leases import Nack, Receipt, Wish
from sqslite.domain.messages import BodyKind, NewMessage
from sqslite.domain.ports import Extension
from sqslite.entrypoints.cli.asking import (
    EXIT_NOTHING,
    EXIT_REFUSED,
    asking,
    client,
    fail,
    granted,
    showing,
)
from sqslite.entrypoints.cli.lines import READ_AT_ONCE_MAX, messages_in, sent
from sqslite.entrypoints.cli.showing import delivery_row, message_row, print_json, print_rows
from sqslite.entrypoints.client import Client, new_message

TAIL_EVERY_S = 0.5
# Messages that a tail remembers beyond those that are in the queue: a redrive may bring one back.
SEEN_MAX = 100_000
RECEIVED_COLUMNS = ("id", "body", "delivery_count", "lease_until", "receipt")
PEEKED_COLUMNS = ("id", "state", "body", "delivery_count", "enqueued_at", "last_error")

_kind = click.option(
    "--kind",
    type=click.Choice([kind.value for kind in BodyKind]),
    help="How to read the body; by default json where it is that, else text.",
)


@click.command()
@click.argument("queue")
@click.argument("body", required=False)
@click.option("--file", "path", type=click.File("rb"), help="Send a file of JSON lines, a message each; - is stdin.")
@_kind
@click.option("--delay-ms", type=int, help="Milliseconds before it can be received.")
@click.option("--max-retries", type=int, help="Deliveries before dead-lettering.")
@click.option("--dlq", help="Its dead-letter queue.")
@click.option("--group-id", help="Its group, whose order a FIFO queue keeps.")
@click.option("--dedup-id", help="What duplicates of it are known by.")
@click.option("--retention-ms", type=int, help="Milliseconds that it is kept.")
@click.option("--trace-id", help="A text for tracing.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="A named text; may be repeated.")
@asking
@showing
def send(
    queue: str, body: str | None, path: Any, kind: str | None, attributes: tuple[str, ...], url: str, as_json: bool,
    **fields: Any,
) -> None:  # fmt: skip
    """Send BODY, or standard input, or a file of JSON lines.

    A line of a file is `{"body": …}` with the fields of an enqueue, as `sqslite export` writes them.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if path is not None:
        if body is not None:
            raise click.UsageError("give a BODY or --file, not both")
        if given or kind or attributes:
            raise click.UsageError("with --file each line says for itself what else there is to its message")
        send_lines(queue, path, url, as_json)
    message = _message(_body(body), kind, given | {"attributes": _attributes(attributes)})
    with client(url) as asked:
        (result,) = asked.enqueue(queue, [message])
    accepted = granted(result)
    print_rows([{"id": accepted.id, **({"duplicate": True} if accepted.duplicate else {})}], as_json)


@click.command()
@click.argument("queue")
@click.option("--max", "limit", type=int, default=1, show_default=True, help="Messages at most.")
@click.option("--visibility-ms", type=int, help="Milliseconds to lease them for; by default the queue's.")
@click.option("--wait-ms", type=int, help="Milliseconds to wait for a message.")
@click.option("--ack", "and_ack", is_flag=True, help="Ack what was received, once it is printed.")
@asking
@showing
def receive(
    queue: str, limit: int, visibility_ms: int | None, wait_ms: int | None, and_ack: bool, url: str, as_json: bool
) -> None:
    """Receive messages: print them with their receipts. Ends with 3 when there is none."""
    with client(url) as asked:
        deliveries = asked.claim(queue, limit, visibility_ms, wait_ms)
        columns = RECEIVED_COLUMNS[: -1 if and_ack else None]
        print_rows(map(delivery_row, deliveries), as_json, columns)
        sys.stdout.flush()
        if and_ack and deliveries:
            for result in asked.ack([delivery.receipt for delivery in deliveries]):
                granted(result)
    sys.exit(0 if deliveries else EXIT_NOTHING)


@click.command()
@click.argument("receipts", nargs=-1, required=True, metavar="RECEIPT…")
@asking
def ack(receipts: tuple[str, ...], url: str) -> None:
    """Delete messages whose work is done."""
    with client(url) as asked:
        _told(asked.ack(_parsed(receipts)))


@click.command()
@click.argument("receipts", nargs=-1, required=True, metavar="RECEIPT…")
@click.option("--delay-ms", type=int, help="Milliseconds before the next delivery; by default the queue's backoff.")
@click.option("--error", help="Why the work failed, kept with the message.")
@click.option("--dead-letter", is_flag=True, help="Move it to its dead-letter queue now.")
@asking
def nack(receipts: tuple[str, ...], delay_ms: int | None, error: str | None, dead_letter: bool, url: str) -> None:
    """Give leases up: the messages are delivered again, or dead-lettered."""
    wish = Wish(delay_ms=delay_ms, error=error, dead_letter=dead_letter)
    with client(url) as asked:
        _told(asked.nack([Nack(receipt, wish) for receipt in _parsed(receipts)]))


@click.command()
@click.argument("receipts", nargs=-1, required=True, metavar="RECEIPT…")
@click.option("--visibility-ms", type=int, required=True, help="Milliseconds from now; 0 releases the messages.")
@asking
def extend(receipts: tuple[str, ...], visibility_ms: int, url: str) -> None:
    """Hold messages longer."""
    with client(url) as asked:
        _told(asked.extend([Extension(receipt, visibility_ms) for receipt in _parsed(receipts)]))


@click.command()
@click.argument("queue")
@click.option(
    "--state", type=click.Choice([state.value for state in PEEKED_STATES]), help="Only messages in this state."
)
@click.option("--limit", type=int, default=20, show_default=True, help="Messages at most; 0 means all.")
@asking
@showing
def peek(queue: str, state: str | None, limit: int, url: str, as_json: bool) -> None:
    """Show messages without leasing them."""
    with client(url) as asked:
        print_rows(_seen(asked, queue, state, limit), as_json, PEEKED_COLUMNS)


@click.command()
@click.argument("queue")
@click.option(
    "--state", type=click.Choice([state.value for state in PEEKED_STATES]), help="Only messages in this state."
)
@click.option("--every", type=click.FloatRange(0.05, 3600), default=TAIL_EVERY_S, show_default=True, help="Seconds.")
@asking
def tail(queue: str, state: str | None, every: float, url: str) -> None:
    """Follow a queue: print its messages and those that come, as JSON lines, until Ctrl-C.

    Nothing is leased. What comes and is acked between two looks is not seen. Each look reads the whole queue.
    """
    shown: dict[int, bool] = {}
    with client(url) as asked:
        while True:
            fresh = _not_shown(_seen(asked, queue, state, 0), shown)
            while part := list(islice(fresh, READ_AT_ONCE_MAX)):
                for row in sorted(part, key=itemgetter("id")):
                    print_json(row)
            time.sleep(every)


@click.command()
@click.argument("message_id", type=int)
@asking
@showing
def explain(message_id: int, url: str, as_json: bool) -> None:
    """Say how a message stands, and why it can or cannot be received now."""
    with client(url) as asked:
        found = asked.inspection.explain(message_id)
    if as_json:
        known = {"queue": found.queue, "state": found.state, "code": found.code, "reason": found.reason}
        later = {"changes_at": found.changes_at} | ({"blocked_by": found.blocked_by} if found.blocked_by else {})
        print_json(message_row(found.message, **known, **later))
        return
    click.echo(f"message {message_id} in queue {found.queue} is {found.state}: {found.reason} ({found.code})")


def send_lines(queue: str, file: IO[bytes], url: str, as_json: bool) -> NoReturn:
    """Send a file of JSON lines, and end the command with what became of them."""
    with client(url) as asked:
        done = sent(asked, queue, messages_in(file), total_of=file)
    print_rows([asdict(done)], as_json)
    sys.exit(EXIT_REFUSED if done.refused else 0)


def _body(argument: str | None) -> bytes:
    """The argument's very bytes, or those on standard input."""
    if argument is not None:
        return os.fsencode(argument)
    return sys.stdin.buffer.read(limits.BODY_BYTES_MAX_CEILING + 1) if sys.stdin else b""


def _message(body: bytes, kind: str | None, fields: dict[str, Any]) -> NewMessage:
    if kind is None:
        return new_message(_json_or_text(body), **fields)
    return NewMessage(body=body, body_kind=BodyKind(kind), **fields)


def _json_or_text(body: bytes) -> Any:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        try:
            return body.decode()
        except UnicodeDecodeError:
            return body
    return msgspec.Raw(body)


def _attributes(given: tuple[str, ...]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--attribute")
        if name in attributes:
            raise click.BadParameter(f"{name!r} is given twice", param_hint="--attribute")
        attributes[name] = value
    return attributes


def _parsed(tokens: tuple[str, ...]) -> list[Receipt]:
    return [Receipt.parse(token) for token in tokens]


def _told(results: list[Any]) -> None:
    refusals = [result for result in results if isinstance(result, SqsliteError)]
    for refusal in refusals:
        fail(refusal)
    sys.exit(EXIT_REFUSED if refusals else 0)


def _not_shown(rows: Iterable[dict[str, Any]], shown: dict[int, bool]) -> Iterator[dict[str, Any]]:
    """The rows of those that were not shown yet. What is forgotten is gone from the queue, and longest."""
    there = 0
    for row in rows:
        there += 1
        known = shown.pop(row["id"], False)
        shown[row["id"]] = True
        if not known:
            yield row
    for number in list(islice(shown, max(0, len(shown) - max(there, SEEN_MAX)))):
        del shown[number]


def _seen(asked: Client, queue: str, state: str | None, limit: int) -> Iterator[dict[str, Any]]:
    """Rows of messages that are in the queue, at most `limit`; 0 means all."""
    after: str | None = None
    left = limit or sys.maxsize
    while left > 0:
        page = asked.inspection.peek(queue, state, after, min(left, READ_AT_ONCE_MAX))
        for found, message in page.messages:
            yield message_row(message, state=found)
        left -= len(page.messages)
        after = page.after
        if after is None:
            return
