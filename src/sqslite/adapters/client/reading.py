"""Answers of the wire as the domain's own values, and the domain's values as the wire shows them."""

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import asdict

from sqslite.adapters.client.errors import rebuilt
from sqslite.domain.errors import OutcomeUnknown, SqsliteError
from sqslite.domain.leases import Receipt
from sqslite.domain.messages import Message, NewMessage, Received, ReceivedMessage
from sqslite.domain.queues import NamedQueue, QueueSettings
from sqslite.domain.redrive import RedriveTask
from sqslite.wire.bodies import from_json, to_json
from sqslite.wire.queue_shapes import QueueOut, RedriveOut, SeenOut
from sqslite.wire.shapes import EnqueueIn, MessageOut, ResultOut, ResultsOut

T = TypeVar("T")

_SETTINGS = QueueSettings.__struct_fields__


def read(body: bytes, shape: type[T]) -> T:
    """The answer as that shape. Raises OutcomeUnknown where it is none: it was done, but not by a sqslite we know."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as fault:
        raise OutcomeUnknown(f"the server's answer cannot be read: {fault}") from fault


def shown_message(message: NewMessage) -> bytes:
    """The message as an enqueue sends it."""
    return msgspec.json.encode(
        EnqueueIn(
            body=Raw(to_json(message.body, message.body_kind)),
            body_kind=message.body_kind,
            delay=message.delay_ms,
            max_retries=message.max_retries or None,
            dlq=message.dlq,
            trace_id=message.trace_id,
            group_id=message.group_id,
            dedup_id=message.dedup_id,
            attributes=message.attributes,
            retention_ms=message.retention_ms,
        )
    )


def results(body: bytes) -> list[ResultOut | SqsliteError]:
    """The results of a batch, its refusals as exceptions."""
    return [
        result if result.code is UNSET else rebuilt(result.code, set_or_none(result.error) or result.code)
        for result in read(body, ResultsOut).results
    ]


def received(answer: MessageOut) -> Received:
    """The delivery of an answer."""
    receipt = Receipt.parse(answer.receipt)
    message = ReceivedMessage(
        id=answer.id,
        body=from_json(bytes(answer.body), answer.body_kind),
        body_kind=answer.body_kind,
        attributes=answer.attributes,
        enqueued_at=answer.enqueued_at,
        lease_until=answer.lease_until,
        delivery_count=answer.delivery_count,
        deliveries_before=answer.fence - answer.delivery_count,
        max_retries=answer.max_retries,
        dlq=set_or_none(answer.dlq),
        trace_id=set_or_none(answer.trace_id),
        group_id=set_or_none(answer.group_id),
        dedup_id=set_or_none(answer.dedup_id),
        last_error=set_or_none(answer.last_error),
        origin_queue=set_or_none(answer.origin_queue),
        origin_delivery_count=set_or_none(answer.origin_delivery_count),
    )
    return Received(message, receipt)


def seen(answer: SeenOut) -> Message:
    """The message that a look showed."""
    fields: dict[str, Any] = {
        name: set_or_none(getattr(answer, name))
        for name in Message.__struct_fields__
        if name not in ("body", "deliveries_before")
    }
    body = from_json(bytes(answer.body), answer.body_kind)
    return Message(body=body, deliveries_before=answer.fence - answer.delivery_count, **fields)


def queue_of(answer: QueueOut) -> NamedQueue:
    """The queue of an answer."""
    settings = QueueSettings(**{name: getattr(answer, name) for name in _SETTINGS})
    return NamedQueue(
        name=answer.name,
        settings=settings,
        paused=answer.paused,
        created_at=answer.created_at,
        changed_at=answer.changed_at,
        purged_at=answer.purged_at,
    )


def redrive_of(answer: RedriveOut) -> RedriveTask:
    """The redrive task of an answer."""
    fields: dict[str, Any] = {name: set_or_none(value) for name, value in asdict(answer).items()}
    return RedriveTask(**fields)


def set_or_none(value: T | UnsetType) -> T | None:
    """The value, None where the answer left it out."""
    return None if value is UNSET else value
