"""Batch calls: up to 1,000 entries, a result for each in order, and one bad entry fails alone."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from msgspec import UNSET, Raw, Struct, defstruct

from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.leases import Nack, Receipt, Wish
from sqslite.domain.limits import BATCH_MAX, MESSAGE_ID_MAX, check_range
from sqslite.domain.messages import Accepted
from sqslite.domain.ports import Extension
from sqslite.entrypoints.http.errors import MissingField, RequestError
from sqslite.entrypoints.http.exchange import Answer, Incoming
from sqslite.entrypoints.http.reading import decode, read_bytes
from sqslite.entrypoints.http.routes import Ports, new_message, proven
from sqslite.entrypoints.http.shortcut import answers
from sqslite.wire import shapes

# An ack or extend entry takes about 100 bytes, a nack one an error text of 4 KiB at most.
CONTROL_BATCH_BYTES_MAX = 8 * 1024 * 1024
ENQUEUE_BATCH_BYTES_MAX = 16 * 1024 * 1024
# What errors call an entry as a whole.
ENTRY = "the entry"

DONE = shapes.ResultOut(ok=True)

T = TypeVar("T")
Entry = TypeVar("Entry", bound=Struct)
Fault = SqsliteError | RequestError
# isinstance() takes several times as long for a union.
FAULTS = (SqsliteError, RequestError)


@answers("enqueue_batch")
async def enqueue_batch(request: Incoming, ports: Ports, queue: str) -> Answer:
    """Enqueue messages."""
    bytes_max = max(ENQUEUE_BATCH_BYTES_MAX, ports.request_bytes_max)
    parsed = await _parsed(request, bytes_max, shapes.EnqueueBatchIn, shapes.EnqueueIn, new_message)
    results = await ports.service.enqueue(queue, _sound(parsed))
    return _answer(parsed, results, _accepted)


@answers("ack_batch")
async def ack_batch(request: Incoming, ports: Ports) -> Answer:
    """Delete messages whose work is done."""
    parsed = await _parsed(request, CONTROL_BATCH_BYTES_MAX, shapes.AckBatchIn, shapes.AckEntry, _ack)
    sound: list[Receipt | int] = _sound(parsed)
    by_receipt = iter(await ports.service.ack([ack for ack in sound if isinstance(ack, Receipt)]))
    ids = [ack for ack in sound if isinstance(ack, int)]
    by_id = iter(await ports.service.ack_unproven(ids) if ids else ())
    results = [next(by_receipt) if isinstance(ack, Receipt) else next(by_id) for ack in sound]
    return _answer(parsed, results, _done)


@answers("nack_batch")
async def nack_batch(request: Incoming, ports: Ports) -> Answer:
    """Give leases up."""
    parsed = await _parsed(request, CONTROL_BATCH_BYTES_MAX, shapes.NackBatchIn, shapes.NackEntry, _nack)
    return _answer(parsed, await ports.service.nack(_sound(parsed)), _done)


@answers("extend_batch")
async def extend_batch(request: Incoming, ports: Ports) -> Answer:
    """Hold messages longer."""
    parsed = await _parsed(request, CONTROL_BATCH_BYTES_MAX, shapes.ExtendBatchIn, shapes.ExtendEntry, _extension)
    results = await ports.service.extend(_sound(parsed))
    return _answer(parsed, results, lambda lease_until: shapes.ResultOut(lease_until=lease_until))


def _ack(entry: shapes.AckEntry) -> Receipt | int:
    if entry.receipt is not None:
        return proven(entry.receipt, entry.id)
    if entry.id is None:
        raise MissingField("the field receipt is required where there is no id")
    return check_range("id", entry.id, 1, MESSAGE_ID_MAX)


def _nack(entry: shapes.NackEntry) -> Nack:
    wish = Wish(delay_ms=entry.delay_ms, error=entry.error, dead_letter=entry.dead_letter)
    return Nack(proven(entry.receipt, entry.id), wish)


def _extension(entry: shapes.ExtendEntry) -> Extension:
    return Extension(proven(entry.receipt, entry.id), entry.visibility_ms)


async def _parsed(
    request: Incoming, bytes_max: int, batch: type[Struct], entry: type[Entry], parse: Callable[[Entry], T]
) -> list[T | Fault]:
    """Each entry as `parse` makes it, or what is wrong with it; `batch` has a single field, the entries."""
    raw = await read_bytes(request, bytes_max) or b"{}"
    (field,) = batch.__struct_fields__

    def parse_text(text: Raw) -> T:
        return parse(decode(bytes(text), entry, ENTRY))

    parse_each: Callable[[Any], T]
    try:
        entries, parse_each = getattr(decode(raw, _of_sound(batch, entry)), field), parse
    except FAULTS:
        # Something is wrong with the whole, or with an entry, which is then refused alone.
        entries, parse_each = getattr(decode(raw, batch), field), parse_text
    if not 1 <= len(entries) <= BATCH_MAX:
        raise InvalidValue(f"the number of {field}", len(entries), f"1 to {BATCH_MAX}")
    return [_tried(parse_each, each) for each in entries]


@cache
def _of_sound(batch: type[Struct], entry: type[Struct]) -> type[Struct]:
    """The batch with its entries decoded: all at once, which takes a fraction of the time of one by one."""
    (field,) = batch.__struct_fields__
    return defstruct(batch.__name__, [(field, list[entry])], forbid_unknown_fields=True)  # type: ignore[valid-type]


def _tried(parse: Callable[[Any], T], entry: object) -> T | Fault:
    try:
        return parse(entry)
    except FAULTS as fault:
        return fault


def _sound(parsed: Sequence[T | Fault]) -> list[T]:
    return [entry for entry in parsed if not isinstance(entry, FAULTS)]


def _answer(
    parsed: Sequence[object], results: Sequence[T | SqsliteError], shown: Callable[[T], shapes.ResultOut]
) -> Answer:
    """The entries' own faults and the results of the sound ones, in the entries' order."""
    rest = iter(results)
    woven = [entry if isinstance(entry, FAULTS) else next(rest) for entry in parsed]
    return Answer(
        shapes.ResultsOut([_refused(result) if isinstance(result, FAULTS) else shown(result) for result in woven])
    )


def _accepted(accepted: Accepted) -> shapes.ResultOut:
    return shapes.ResultOut(id=accepted.id, duplicate=accepted.duplicate or UNSET)


def _done(_: object) -> shapes.ResultOut:
    return DONE


def _refused(fault: Fault) -> shapes.ResultOut:
    return shapes.ResultOut(error=str(fault), code=fault.code)
