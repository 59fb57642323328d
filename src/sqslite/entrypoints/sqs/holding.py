"""DeleteMessage, ChangeMessageVisibility and their batches: what a receipt handle is good for."""

from collections.abc import Sequence

from msgspec import Struct

from sqslite.domain.errors import InvalidReceipt, InvalidValue, MessageNotFound, SqsliteError, StaleReceipt
from sqslite.domain.leases import Receipt
from sqslite.domain.limits import SECOND_MS
from sqslite.domain.ports import Extension
from sqslite.domain.queues import Queue
from sqslite.entrypoints.sqs import batches, inputs
from sqslite.entrypoints.sqs.calls import Answer, Call
from sqslite.entrypoints.sqs.errors import Kind, SqsError, from_domain, invalid_value, missing
from sqslite.entrypoints.sqs.inputs import Text, text
from sqslite.entrypoints.sqs.receiving import VISIBILITY_S_MAX

NOT_THERE = "Message does not exist or is not available for visibility timeout change."
DELETE_ENTRY = "DeleteMessageBatchRequestEntry"
CHANGE_ENTRY = "ChangeMessageVisibilityBatchRequestEntry"
TOO_LONG = f"Total VisibilityTimeout for the message is beyond the limit [{VISIBILITY_S_MAX} seconds]"


class Change(Struct, frozen=True):
    """A receipt handle, and for how long its message is to stay invisible."""

    handle: str
    visibility_s: int


async def delete_message(call: Call, asked: inputs.DeleteMessage) -> None:
    """Delete a message whose work is done; again is fine."""
    queue = await call.queue(asked.queue_url)
    _raised(await _delete(call, queue, [_handle(asked.receipt_handle)]))


async def delete_message_batch(call: Call, asked: inputs.DeleteMessageBatch) -> Answer:
    """Delete up to ten messages; a bad handle fails alone."""
    queue = await call.queue(asked.queue_url)
    entries = batches.checked(asked.entries, DELETE_ENTRY)
    handles = [
        _caught_handle(entry.receipt_handle, f"{DELETE_ENTRY}.{number}.")
        for number, entry in enumerate(entries.values(), 1)
    ]
    outcomes = await _delete(call, queue, handles)
    return batches.told({id_: outcome or {} for id_, outcome in zip(entries, outcomes, strict=True)})


async def change_message_visibility(call: Call, asked: inputs.ChangeMessageVisibility) -> None:
    """Hold a message for longer or shorter, from now; 0 gives it back."""
    queue = await call.queue(asked.queue_url)
    change = _read_change(asked.receipt_handle, asked.visibility_timeout)
    _raised(await _change(call, queue, [change]))


async def change_message_visibility_batch(call: Call, asked: inputs.ChangeMessageVisibilityBatch) -> Answer:
    """Hold up to ten messages; a bad handle fails alone."""
    queue = await call.queue(asked.queue_url)
    entries = batches.checked(asked.entries, CHANGE_ENTRY)
    changes = [_caught_change(entry, f"{CHANGE_ENTRY}.{number}.") for number, entry in enumerate(entries.values(), 1)]
    outcomes = await _change(call, queue, changes)
    return batches.told({id_: outcome or {} for id_, outcome in zip(entries, outcomes, strict=True)})


async def _delete(call: Call, queue: Queue, handles: Sequence[str | SqsError]) -> list[SqsError | None]:
    found = await _receipts(call, queue, handles)
    own = [receipt for receipt in found if isinstance(receipt, Receipt)]
    refusals = iter(await call.ports.service.ack(own))
    return [_delete_fault(next(refusals)) if isinstance(receipt, Receipt) else receipt for receipt in found]


def _delete_fault(refusal: SqsliteError | None) -> SqsError | None:
    # Superseded handles and messages that are gone already: a success that deletes nothing.
    silent = refusal is None or isinstance(refusal, StaleReceipt | MessageNotFound)
    return None if silent or refusal is None else from_domain(refusal)


async def _change(call: Call, queue: Queue, changes: Sequence[Change | SqsError]) -> list[SqsError | None]:
    handles = [change.handle if isinstance(change, Change) else change for change in changes]
    found = await _receipts(call, queue, handles)
    extensions = [
        Extension(receipt, change.visibility_s * SECOND_MS)
        for change, receipt in zip(changes, found, strict=True)
        if isinstance(change, Change) and isinstance(receipt, Receipt)
    ]
    results = iter(await call.ports.service.extend(extensions))
    outcomes: list[SqsError | None] = []
    for change, receipt in zip(changes, found, strict=True):
        if isinstance(change, SqsError):
            outcomes.append(change)
        elif isinstance(receipt, SqsError):
            outcomes.append(receipt)
        elif receipt is None:
            outcomes.append(invalid_value("ReceiptHandle", change.handle, NOT_THERE))
        else:
            outcomes.append(_change_fault(change, next(results)))
    return outcomes


def _change_fault(change: Change, result: object) -> SqsError | None:
    if isinstance(result, MessageNotFound):
        return invalid_value("ReceiptHandle", change.handle, NOT_THERE)
    if isinstance(result, InvalidValue):
        return invalid_value("VisibilityTimeout", change.visibility_s, TOO_LONG)
    # A superseded handle changes nothing, which on this wire is no error.
    if isinstance(result, SqsliteError) and not isinstance(result, StaleReceipt):
        return from_domain(result)
    return None


def _read_change(given_handle: Text, visibility_s: int | None, entry: str = "") -> Change:
    handle = _handle(given_handle, entry)
    if visibility_s is None:
        raise missing(f"{entry}VisibilityTimeout")
    if not 0 <= visibility_s <= VISIBILITY_S_MAX:
        raise invalid_value("VisibilityTimeout", visibility_s, "Must be between 0 and 43200, if provided.")
    return Change(handle, visibility_s)


def _caught_change(asked: inputs.VisibilityEntry, entry: str) -> Change | SqsError:
    try:
        return _read_change(asked.receipt_handle, asked.visibility_timeout, entry)
    except SqsError as fault:
        return fault


def _handle(given: Text, entry: str = "") -> str:
    handle = text(given)
    if not handle:
        raise missing(f"{entry}ReceiptHandle")
    return handle


def _caught_handle(given: Text, entry: str) -> str | SqsError:
    try:
        return _handle(given, entry)
    except SqsError as fault:
        return fault


async def _receipts(call: Call, queue: Queue, handles: Sequence[str | SqsError]) -> list[Receipt | SqsError | None]:
    """The receipt behind each handle, or why it is good for nothing; None where its message was purged away."""
    parsed = [handle if isinstance(handle, SqsError) else _parsed(call, queue, handle) for handle in handles]
    partition_id = queue.partition_id
    if any(isinstance(receipt, Receipt) and receipt.partition_id != partition_id for receipt in parsed):
        # Another node may have purged the queue since this one looked.
        call.ports.directory.forget(queue.name)
        partition_id = (await call.queue(queue.name)).partition_id
    found = [
        None if isinstance(receipt, Receipt) and receipt.partition_id != partition_id else receipt for receipt in parsed
    ]
    return await _standing(call, found) if queue.settings.fifo else found


async def _standing(call: Call, found: Sequence[Receipt | SqsError | None]) -> list[Receipt | SqsError | None]:
    """Of a FIFO queue: a handle whose time is over is refused, for the next of its group may be in work."""
    own = [receipt for receipt in found if isinstance(receipt, Receipt)]
    standing = iter(await call.ports.service.standing(own))
    return [
        invalid_value("ReceiptHandle", receipt.token(), "The receipt handle has expired.")
        if isinstance(receipt, Receipt) and isinstance(next(standing), StaleReceipt)
        else receipt
        for receipt in found
    ]


def _parsed(call: Call, queue: Queue, handle: str) -> Receipt | SqsError:
    try:
        receipt = Receipt.parse(handle)
    except InvalidReceipt:
        return SqsError(Kind.RECEIPT, f'The input receipt handle "{handle}" is not a valid receipt handle.')
    other = call.ports.directory.at(receipt.partition_id)
    if other is not None and other.name != queue.name:
        return SqsError(Kind.RECEIPT, f'The receipt handle "{handle}" is not valid for this queue.')
    return receipt


def _raised(outcomes: Sequence[SqsError | None]) -> None:
    (fault,) = outcomes
    if fault is not None:
        raise fault
