"""SendMessage and SendMessageBatch."""

from msgspec import Struct
from msgspec.structs import replace

from sqslite.domain.errors import SqsliteError
from sqslite.domain.limits import BODY_BYTES_MAX_DEFAULT, SECOND_MS
from sqslite.domain.messages import Accepted, BodyKind, NewMessage
from sqslite.domain.queues import Discipline, Queue
from sqslite.entrypoints.sqs import batches, inputs, md5, message_attributes
from sqslite.entrypoints.sqs.calls import Answer, Call
from sqslite.entrypoints.sqs.errors import Kind, SqsError, from_domain, invalid, invalid_value, missing
from sqslite.entrypoints.sqs.inputs import text
from sqslite.entrypoints.sqs.message_attributes import INVALID_CHARACTERS, is_allowed
from sqslite.entrypoints.sqs.names import checked_id, message_uuid, sequence_number

DELAY_S_MAX = 900
BATCH_BYTES_MAX = BODY_BYTES_MAX_DEFAULT
NEEDS_DEDUP_ID = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
)
ENTRY = "SendMessageBatchRequestEntry"


class Outgoing(Struct, frozen=True):
    """A message that was found fit, with the digests its sender is answered with."""

    message: NewMessage
    digests: Answer
    size: int


async def send_message(call: Call, sent: inputs.SendMessage) -> Answer:
    """Send a message."""
    queue = await call.queue(sent.queue_url)
    message_attributes.check_no_lists(sent, "SendMessage")
    outgoing = _read(queue, sent, "MessageBody", _trace_of(call))
    _check_size(queue, outgoing, call)
    (outcome,) = await _enqueue(call, queue, [outgoing])
    if isinstance(outcome, SqsError):
        raise outcome
    return outcome


async def send_message_batch(call: Call, sent: inputs.SendMessageBatch) -> Answer:
    """Send up to ten messages; a bad one fails alone."""
    queue = await call.queue(sent.queue_url)
    entries = batches.checked(sent.entries, ENTRY)
    for entry in entries.values():
        message_attributes.check_no_lists(entry, "SendMessageBatch")
    if queue.settings.fifo:
        # AWS refuses the whole batch for these two, and under another code than a single message.
        for entry in entries.values():
            if not text(entry.message_deduplication_id) and not queue.settings.dedup_by_content:
                raise invalid(NEEDS_DEDUP_ID)
            if not text(entry.message_group_id):
                raise invalid("The request must contain the parameter MessageGroupId.")
    trace = _trace_of(call)
    read = {
        id_: _fault_or_read(queue, entry, f"{ENTRY}.{number}.MessageBody", trace)
        for number, (id_, entry) in enumerate(entries.items(), 1)
    }
    _check_batch_size(entries)
    fit: dict[str, Outgoing] = {}
    outcomes: dict[str, batches.Outcome | SqsError] = {}
    for id_, outgoing in read.items():
        fault = outgoing if isinstance(outgoing, SqsError) else _size_fault(queue, outgoing, call)
        if fault is not None:
            outcomes[id_] = fault
        elif isinstance(outgoing, Outgoing):
            fit[id_] = outgoing
    if fit:
        outcomes.update(zip(fit, await _enqueue(call, queue, list(fit.values())), strict=True))
    return batches.told({id_: outcomes[id_] for id_ in entries})


async def _enqueue(call: Call, queue: Queue, outgoing: list[Outgoing]) -> list[Answer | SqsError]:
    if queue.settings.discipline is Discipline.STANDARD and any(each.message.group_id for each in outgoing):
        # SQS, fair queues: a standard queue becomes one when messages with group ids come.
        await call.ports.administration.change(queue.name, lambda settings: replace(settings, fair=True))
    results = await call.ports.service.enqueue(
        queue.name, [each.message for each in outgoing], create=False, measured=True
    )
    return [_told(queue, each, result) for each, result in zip(outgoing, results, strict=True)]


def _told(queue: Queue, outgoing: Outgoing, result: Accepted | SqsliteError) -> Answer | SqsError:
    if isinstance(result, SqsliteError):
        return from_domain(result)
    answer = {**outgoing.digests, "MessageId": message_uuid(result.id)}
    if queue.settings.fifo:
        answer["SequenceNumber"] = sequence_number(result.id)
    return answer


def _trace_of(call: Call) -> str | None:
    return message_attributes.trace_in(call.incoming.scope["headers"])


def _fault_or_read(
    queue: Queue, sent: inputs.Sent, body_parameter: str, request_trace: str | None
) -> Outgoing | SqsError:
    try:
        return _read(queue, sent, body_parameter, request_trace)
    except SqsError as fault:
        return fault


def _read(queue: Queue, sent: inputs.Sent, body_parameter: str, request_trace: str | None) -> Outgoing:
    content = text(sent.message_body)
    if not content:
        raise missing(body_parameter)
    if not is_allowed(content):
        raise SqsError(Kind.MESSAGE_CONTENTS, INVALID_CHARACTERS)
    attributes = message_attributes.read(sent.message_attributes)
    trace = message_attributes.read_system(sent.message_system_attributes)
    body = content.encode()
    message = NewMessage(
        body=body,
        body_kind=BodyKind.TEXT,
        attributes=message_attributes.carried(attributes),
        delay_ms=_delay_ms(queue, sent.delay_seconds),
        # What the message says of itself stands above what its request says of all.
        trace_id=trace.value.decode() if trace else request_trace,
        group_id=_group_id(queue, text(sent.message_group_id)),
        dedup_id=_dedup_id(queue, text(sent.message_deduplication_id)),
    )
    digests: Answer = {"MD5OfMessageBody": md5.of_body(body)}
    size = len(body)
    # Most messages have none.
    if attributes:
        digests["MD5OfMessageAttributes"] = md5.of_attributes(attributes)
        size += message_attributes.size(attributes)
    if trace:
        digests["MD5OfMessageSystemAttributes"] = md5.of_attributes([trace])
    return Outgoing(message, digests, size)


def _delay_ms(queue: Queue, delay_s: int | None) -> int | None:
    if delay_s is None:
        return None
    if queue.settings.fifo:
        if delay_s:
            raise invalid_value(
                "DelaySeconds", delay_s, "The request include parameter that is not valid for this queue type."
            )
        # What a FIFO queue delays, it delays by its own setting.
        return None
    if not 0 <= delay_s <= DELAY_S_MAX:
        raise invalid_value("DelaySeconds", delay_s, f"DelaySeconds must be >= 0 and <= {DELAY_S_MAX}.")
    return delay_s * SECOND_MS


def _group_id(queue: Queue, group_id: str | None) -> str | None:
    if not group_id and queue.settings.fifo:
        raise missing("MessageGroupId")
    return checked_id("MessageGroupId", group_id)


def _dedup_id(queue: Queue, dedup_id: str | None) -> str | None:
    if dedup_id is not None and not queue.settings.fifo:
        raise invalid_value(
            "MessageDeduplicationId",
            dedup_id,
            "The request includes a parameter that is not valid for this queue type.",
        )
    if not dedup_id and queue.settings.fifo and not queue.settings.dedup_by_content:
        raise invalid(NEEDS_DEDUP_ID)
    return checked_id("MessageDeduplicationId", dedup_id or None)


def _size_fault(queue: Queue, outgoing: Outgoing, call: Call) -> SqsError | None:
    bytes_max = queue.settings.body_bytes_max or call.ports.defaults.body_bytes_max
    if outgoing.size <= bytes_max:
        return None
    return too_long(bytes_max)


def _check_size(queue: Queue, outgoing: Outgoing, call: Call) -> None:
    if (fault := _size_fault(queue, outgoing, call)) is not None:
        raise fault


def too_long(bytes_max: int) -> SqsError:
    """A message has more bytes than its queue takes."""
    return invalid(f"One or more parameters are invalid. Reason: Message must be shorter than {bytes_max} bytes.")


def _check_batch_size(entries: dict[str, inputs.SentEntry]) -> None:
    size = sum(_raw_size(entry) for entry in entries.values())
    if size > BATCH_BYTES_MAX:
        raise SqsError(
            Kind.BATCH_TOO_LONG,
            f"Batch requests cannot be longer than {BATCH_BYTES_MAX} bytes. You have sent {size} bytes.",
        )


def _raw_size(sent: inputs.Sent) -> int:
    """What an entry counts in its batch, whether it is fit or not."""
    try:
        attributes = message_attributes.size(message_attributes.read(sent.message_attributes))
    except SqsError:
        attributes = 0
    return len((text(sent.message_body) or "").encode()) + attributes
