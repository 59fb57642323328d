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
TOO_LONG = f"Total VisibilityTimeout for the message is beyond the limit [{VISIBILITY_S_MAX} seconds]"


class Change(Struct, frozen=True):
    """A receipt handle, its receipt, and for how long its message is to stay invisible."""

    handle: str
    receipt: Receipt
    visibility_s: int


async def delete_message(call: Call, asked: inputs.DeleteMessage) -> None:
    """Delete a message whose work is done; again is fine."""
    queue = await call.queue(asked.queue_url)
    _raised(await _delete(call, queue, [_handle(asked.receipt_handle)]))


async def delete_message_batch(call: Call, asked: inputs.DeleteMessageBatch) -> Answer:
    """Delete up to ten messages; a bad handle fails alone."""
    queue = await call.queue(asked.queue_url)
    entries = batches.checked(asked.entries, "DeleteMessageBatchRequestEntry")
    outcomes = await _delete(call, queue, [_caught_handle(entry.receipt_handle) for entry in entries.values()])
    return batches.told({id_: outcome or {} for id_, outcome in zip(entries, outcomes, strict=True)})


async def change_message_visibility(call: Call, asked: inputs.ChangeMessageVisibility) -> None:
    """Hold a message for longer or shorter, from now; 0 gives it back."""
    queue = await call.queue(asked.queue_url)
    handle = _handle(asked.receipt_handle)
    _raised(await _change(call, [_changed(call, queue, handle, asked.visibility_timeout)]))


async def change_message_visibility_batch(call: Call, asked: inputs.ChangeMessageVisibilityBatch) -> Answer:
    """Hold up to ten messages; a bad handle fails alone."""
    queue = await call.queue(asked.queue_url)
    entries = batches.checked(asked.entries, "ChangeMessageVisibilityBatchRequestEntry")
    changes = [_caught_change(call, queue, entry) for entry in entries.values()]
    outcomes = await _change(call, changes)
    return batches.told({id_: outcome or {} for id_, outcome in zip(entries, outcomes, strict=True)})


async def _delete(call: Call, queue: Queue, handles: Sequence[str | SqsError]) -> list[SqsError | None]:
    parsed = [handle if isinstance(handle, SqsError) else _parsed(call, queue, handle) for handle in handles]
    # A receipt for a partition that the queue has no more was purged away with it: nothing is left to delete.
    own = [receipt for receipt in parsed if isinstance(receipt, Receipt) and receipt.partition_id == queue.partition_id]
    ended: dict[Receipt, SqsliteError] = {}
    if queue.settings.fifo:
        standing = await call.ports.service.standing(own)
        ended = {receipt: why for receipt, why in zip(own, standing, strict=True) if isinstance(why, StaleReceipt)}
    still = [receipt for receipt in own if receipt not in ended]
    refusals = dict(zip(still, await call.ports.service.ack(still), strict=True))
    outcomes: list[SqsError | None] = []
    for handle, receipt in zip(handles, parsed, strict=True):
        if isinstance(receipt, SqsError):
            outcomes.append(receipt)
        elif receipt in ended:
            outcomes.append(invalid_value("ReceiptHandle", handle, "The receipt handle has expired."))
        else:
            refusal = refusals.get(receipt)
            # Superseded handles and messages that are gone already: a success that deletes nothing.
            silent = refusal is None or isinstance(refusal, StaleReceipt | MessageNotFound)
            outcomes.append(None if silent or refusal is None else from_domain(refusal))
    return outcomes


async def _change(call: Call, changes: Sequence[Change | SqsError]) -> list[SqsError | None]:
    sound = [change for change in changes if isinstance(change, Change)]
    extensions = [Extension(change.receipt, change.visibility_s * SECOND_MS) for change in sound]
    results = iter(await call.ports.service.extend(extensions))
    return [change if isinstance(change, SqsError) else _change_fault(change, next(results)) for change in changes]


def _change_fault(change: Change, result: object) -> SqsError | None:
    if isinstance(result, MessageNotFound):
        return invalid_value("ReceiptHandle", change.handle, NOT_THERE)
    if isinstance(result, InvalidValue):
        return invalid_value("VisibilityTimeout", change.visibility_s, TOO_LONG)
    # A superseded handle changes nothing, which on this wire is no error.
    if isinstance(result, SqsliteError) and not isinstance(result, StaleReceipt):
        return from_domain(result)
    return None


def _changed(call: Call, queue: Queue, handle: str, visibility_s: int | None) -> Change:
    if visibility_s is None:
        raise missing("VisibilityTimeout")
    if not 0 <= visibility_s <= VISIBILITY_S_MAX:
        raise invalid_value("VisibilityTimeout", visibility_s, "Must be between 0 and 43200, if provided.")
    receipt = _parsed(call, queue, handle)
    if isinstance(receipt, SqsError):
        raise receipt
    return Change(handle, receipt, visibility_s)


def _caught_change(call: Call, queue: Queue, entry: inputs.VisibilityEntry) -> Change | SqsError:
    try:
        return _changed(call, queue, _handle(entry.receipt_handle), entry.visibility_timeout)
    except SqsError as fault:
        return fault


def _handle(given: Text) -> str:
    handle = text(given)
    if not handle:
        raise missing("ReceiptHandle")
    return handle


def _caught_handle(given: Text) -> str | SqsError:
    try:
        return _handle(given)
    except SqsError as fault:
        return fault


def _parsed(call: Call, queue: Queue, handle: str) -> Receipt | SqsError:
    not_valid = SqsError(Kind.RECEIPT, f'The input receipt handle "{handle}" is not a valid receipt handle.')
    try:
        receipt = Receipt.parse(handle)
    except InvalidReceipt:
        return not_valid
    other = call.ports.directory.at(receipt.partition_id)
    return not_valid if other is not None and other.name != queue.name else receipt


def _raised(outcomes: Sequence[SqsError | None]) -> None:
    (fault,) = outcomes
    if fault is not None:
        raise fault
