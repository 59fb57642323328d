"""Messages as lines of JSON: read, sent, written."""

import itertools
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from sqslite.domain.errors import InvalidValue, OutcomeUnknown, SqsliteError
from sqslite.domain.limits import BATCH_MAX, BODY_BYTES_MAX_CEILING, ms
from sqslite.domain.messages import NewMessage
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


class Sent(msgspec.Struct):
    """What became of the messages of a file."""

    sent: int = 0
    duplicates: int = 0
    refused: int = 0


def messages_in(file: IO[bytes]) -> Iterator[Numbered]:
    """The messages of a file of JSON lines; a line that is none comes as the refusal that says why."""
    read = 0
    for number in itertools.count(1):
        line = file.readline(LINE_BYTES_MAX)
        if not line:
            return
        read += len(line)
        if len(line) == LINE_BYTES_MAX:
            read += _skipped(file)
            yield Numbered(number, InvalidValue("line", number, f"at most {LINE_BYTES_MAX} bytes long"), read)
        elif line.strip():
            yield Numbered(number, _message(line), read)


def _skipped(file: IO[bytes]) -> int:
    """Read what is left of the line; how much that was."""
    read = 0
    while rest := file.readline(SENT_BYTES_MAX):
        read += len(rest)
        if rest.endswith(b"\n"):
            break
    return read


def _message(line: bytes) -> NewMessage | SqsliteError:
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
        text = line[:100].decode(errors="replace").rstrip()
        return InvalidValue("the line", text, f"a JSON object with a body ({fault})")
    except SqsliteError as refusal:
        return refusal


def _delay_ms(line: Line) -> int | None:
    if line.delay is not None or line.not_before is None:
        return line.delay
    if line.not_before.tzinfo is None:
        raise InvalidValue("not_before", line.not_before.isoformat(), "an instant with its offset from UTC")
    return max(0, (line.not_before - datetime.now(UTC)) // ms(1))


def sent(asked: Client, queue: str, messages: Iterable[Numbered], total_of: IO[bytes]) -> Sent:
    """Send them in batches, showing how far it has come, and tell each that is refused.

    Where it ends before its time it tells which lines are done, so that the others can be sent.
    """
    done = Sent()
    columns = (TaskProgressColumn(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=_size(total_of))
        rest = iter(messages)
        while batch := list(_batch(rest)):
            try:
                _send_batch(asked, queue, batch, done)
            except (SqsliteError, KeyboardInterrupt) as end:
                _tell_where(batch, in_doubt=isinstance(end, OutcomeUnknown | KeyboardInterrupt))
                raise
            progress.update(task, completed=batch[-1].bytes_read)
    return done


def _batch(messages: Iterator[Numbered]) -> Iterator[Numbered]:
    size = 0
    for numbered in itertools.islice(messages, min(SENT_AT_ONCE_MAX, BATCH_MAX)):
        yield numbered
        size += len(numbered.message.body) if isinstance(numbered.message, NewMessage) else 0
        if size >= SENT_BYTES_MAX:
            return


def _send_batch(asked: Client, queue: str, batch: list[Numbered], done: Sent) -> None:
    sound = [numbered.message for numbered in batch if isinstance(numbered.message, NewMessage)]
    outcomes = iter(asked.enqueue(queue, sound) if sound else [])
    for numbered in batch:
        result = next(outcomes) if isinstance(numbered.message, NewMessage) else numbered.message
        if isinstance(result, SqsliteError):
            done.refused += 1
            click.echo(f"sqslite: line {numbered.number}: {result}", err=True)
        elif result.duplicate:
            done.duplicates += 1
        else:
            done.sent += 1


def _tell_where(batch: list[Numbered], *, in_doubt: bool) -> None:
    first, last = batch[0].number, batch[-1].number
    fate = "may have been sent or not" if in_doubt else "were not sent"
    before = f"the lines before {first} are done, " if first > 1 else ""
    click.echo(f"sqslite: {before}lines {first} to {last} {fate}", err=True)


def _size(file: IO[bytes]) -> int | None:
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None


_DECODER = msgspec.json.Decoder(Line)
