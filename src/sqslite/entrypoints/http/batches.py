"""Batch calls: up to 1,000 entries, a result for each in order, and one bad entry fails alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import UNSET, Raw

from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.leases import Receipt
from sqslite.domain.limits import BATCH_MAX, MESSAGE_ID_MAX, check_range
from sqslite.domain.messages import Accepted
from sqslite.domain.ports import Extension
from sqslite.domain.service import Nack
from sqslite.domain.sweep import Wish
from sqslite.entrypoints.http.errors import MissingField, RequestError
from sqslite.entrypoints.http.exchange import Answer, Incoming
from sqslite.entrypoints.http.reading import decode, read
from sqslite.entrypoints.http.routes import Ports, new_message, proven
from sqslite.entrypoints.http.shortcut import answers
from sqslite.wire import shapes

# An ack or extend entry takes about 100 bytes, a nack one an error text of 4 KiB at most.
CONTROL_BATCH_BYTES_MAX = 8 * 1024 * 1024
ENQUEUE_BATCH_BYTES_MAX = 16 * 1024 * 1024
# What errors call an entry as a whole.
ENTRY = "the entry"

T = TypeVar("T")
Fault = SqsliteError | RequestError


@answers("enqueue_batch")
async def enqueue_batch(request: Incoming, ports: Ports, queue: str) -> Answer:
    """Enqueue messages."""
    bytes_max = max(ENQUEUE_BATCH_BYTES_MAX, ports.request_bytes_max)
    sent = await read(request, shapes.EnqueueBatchIn, bytes_max)
    parsed = _parsed("messages", sent.messages, lambda raw: new_message(decode(raw, shapes.EnqueueIn, ENTRY)))
    results = await ports.service.enqueue(queue, _sound(parsed))
    return _answer(parsed, results, _accepted)


@answers("ack_batch")
async def ack_batch(request: Incoming, ports: Ports) -> Answer:
    """Delete messages whose work is done."""
    sent = await read(request, shapes.AckBatchIn, CONTROL_BATCH_BYTES_MAX)
    parsed = _parsed("acks", sent.acks, _ack)
    sound: list[Receipt | int] = _sound(parsed)
    by_receipt = iter(await ports.service.ack([ack for ack in sound if isinstance(ack, Receipt)]))
    ids = [ack for ack in sound if isinstance(ack, int)]
    by_id = iter(await ports.service.ack_unproven(ids) if ids else ())
    results = [next(by_receipt) if isinstance(ack, Receipt) else next(by_id) for ack in sound]
    return _answer(parsed, results, _done)


@answers("nack_batch")
async def nack_batch(request: Incoming, ports: Ports) -> Answer:
    """Give leases up."""
    sent = await read(request, shapes.NackBatchIn, CONTROL_BATCH_BYTES_MAX)
    parsed = _parsed("nacks", sent.nacks, _nack)
    return _answer(parsed, await ports.service.nack(_sound(parsed)), _done)


@answers("extend_batch")
async def extend_batch(request: Incoming, ports: Ports) -> Answer:
    """Hold messages longer."""
    sent = await read(request, shapes.ExtendBatchIn, CONTROL_BATCH_BYTES_MAX)
    parsed = _parsed("extends", sent.extends, _extension)
    results = await ports.service.extend(_sound(parsed))
    return _answer(parsed, results, lambda lease_until: shapes.ResultOut(lease_until=lease_until))


def _ack(raw: bytes) -> Receipt | int:
    entry = decode(raw, shapes.AckEntry, ENTRY)
    if entry.receipt is not None:
        return proven(entry.receipt, entry.id)
    if entry.id is None:
        raise MissingField("the field receipt is required where there is no id")
    return check_range("id", entry.id, 1, MESSAGE_ID_MAX)


def _nack(raw: bytes) -> Nack:
    entry = decode(raw, shapes.NackEntry, ENTRY)
    wish = Wish(delay_ms=entry.delay_ms, error=entry.error, dead_letter=entry.dead_letter)
    return Nack(proven(entry.receipt, entry.id), wish)


def _extension(raw: bytes) -> Extension:
    entry = decode(raw, shapes.ExtendEntry, ENTRY)
    return Extension(proven(entry.receipt, entry.id), entry.visibility_ms)


def _parsed(field: str, entries: Sequence[Raw], parse: Callable[[bytes], T]) -> list[T | Fault]:
    if not 1 <= len(entries) <= BATCH_MAX:
        raise InvalidValue(f"the number of {field}", len(entries), f"1 to {BATCH_MAX}")
    return [_tried(parse, bytes(entry)) for entry in entries]


def _tried(parse: Callable[[bytes], T], entry: bytes) -> T | Fault:
    try:
        return parse(entry)
    except (SqsliteError, RequestError) as fault:
        return fault


def _sound(parsed: Sequence[T | Fault]) -> list[T]:
    return [entry for entry in parsed if not isinstance(entry, SqsliteError | RequestError)]


def _answer(
    parsed: Sequence[object], results: Sequence[T | SqsliteError], shown: Callable[[T], shapes.ResultOut]
) -> Answer:
    """The entries' own faults and the results of the sound ones, in the entries' order."""
    rest = iter(results)
    woven = [entry if isinstance(entry, SqsliteError | RequestError) else next(rest) for entry in parsed]
    results_out = [_refused(result) if isinstance(result, Fault) else shown(result) for result in woven]
    return Answer(shapes.ResultsOut(results_out))


def _accepted(accepted: Accepted) -> shapes.ResultOut:
    return shapes.ResultOut(id=accepted.id, duplicate=accepted.duplicate or UNSET)


def _done(_: object) -> shapes.ResultOut:
    return shapes.ResultOut(ok=True)


def _refused(fault: Fault) -> shapes.ResultOut:
    return shapes.ResultOut(error=str(fault), code=fault.code)
