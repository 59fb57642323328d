"""Messages as lines of JSON: read, sent, written."""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import IO

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.limits import BATCH_MAX, BODY_BYTES_MAX_CEILING, ms
from sqslite.domain.messages import NewMessage
from sqslite.entrypoints.cli.asking import fail
from sqslite.entrypoints.client import Client
from sqslite.wire.bodies import from_json
from sqslite.wire.shapes import EnqueueIn

LINE_BYTES_MAX = 2 * BODY_BYTES_MAX_CEILING
READ_AT_ONCE_MAX = 500
SENT_AT_ONCE_MAX = 100
SENT_BYTES_MAX = 4 * 1024 * 1024


class Line(EnqueueIn, forbid_unknown_fields=False):
    """A line of an export: an enqueue, and what else was known of the message, which an import passes over.

    But for `not_before`: where the line gives no `delay`, the message is delayed until then.
    """

    not_before: datetime | None = None


class Numbered(msgspec.Struct):
    """A message, where it stood, and how far the file was read behind it."""

    number: int
    message: NewMessage | SqsliteError
    bytes_read: int


def messages_in(file: IO[bytes]) -> Iterator[Numbered]:
    """The messages of a file of JSON lines; a line that is none comes as the refusal that says why."""
    read = 0
    for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b""), start=1):
        read += len(line)
        if line.strip():
            yield Numbered(number, _message(number, line), read)


def _message(number: int, line: bytes) -> NewMessage | SqsliteError:
    try:
        sent = _DECODER.decode(line)
        return NewMessage(
            body=from_json(bytes(sent.body), sent.body_kind),
            body_kind=sent.body_kind,
            attributes=sent.attributes,
            delay_ms=_delay_ms(sent),
            max_retries=sent.max_retries or 0,
            dlq=sent.dlq,
            trace_id=sent.trace_id,
            group_id=sent.group_id,
            dedup_id=sent.dedup_id,
            retention_ms=sent.retention_ms,
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        return InvalidValue(f"line {number}", line[:100].decode(errors="replace"), f"a message in JSON ({fault})")
    except SqsliteError as refusal:
        return refusal


def _delay_ms(line: Line) -> int | None:
    if line.delay is not None or line.not_before is None:
        return line.delay
    if line.not_before.tzinfo is None:
        raise InvalidValue("not_before", line.not_before.isoformat(), "an instant with its offset from UTC")
    return max(0, (line.not_before - datetime.now(UTC)) // ms(1))


def sent(asked: Client, queue: str, messages: Iterable[Numbered], total_of: IO[bytes]) -> int:
    """Send them in batches, showing how far it has come; how many were refused, each of which is told."""
    refused = 0
    columns = (TaskProgressColumn(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=_size(total_of))
        rest = iter(messages)
        while batch := list(_batch(rest)):
            refused += _sent_batch(asked, queue, batch)
            progress.update(task, completed=batch[-1].bytes_read)
    return refused


def _batch(messages: Iterator[Numbered]) -> Iterator[Numbered]:
    size = 0
    for numbered in islice(messages, min(SENT_AT_ONCE_MAX, BATCH_MAX)):
        yield numbered
        size += len(numbered.message.body) if isinstance(numbered.message, NewMessage) else 0
        if size >= SENT_BYTES_MAX:
            return


def _sent_batch(asked: Client, queue: str, batch: list[Numbered]) -> int:
    sound = [(numbered.number, numbered.message) for numbered in batch if isinstance(numbered.message, NewMessage)]
    outcomes = asked.enqueue(queue, [message for _, message in sound]) if sound else []
    results = [(number, outcome) for (number, _), outcome in zip(sound, outcomes, strict=True)]
    results += [(each.number, each.message) for each in batch if isinstance(each.message, SqsliteError)]
    refusals = [
        (number, result)
        for number, result in sorted(results, key=lambda pair: pair[0])
        if isinstance(result, SqsliteError)
    ]
    for number, refusal in refusals:
        click.echo(f"line {number}: ", nl=False, err=True)
        fail(refusal)
    return len(refusals)


def _size(file: IO[bytes]) -> int | None:
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None


_DECODER = msgspec.json.Decoder(Line)
