"""Messages: what is enqueued, what a receiver is handed, what a peek shows."""

import enum
from datetime import datetime
from typing import Any, TypeVar, overload

import msgspec
from msgspec import Struct

from sqslite.domain.leases import Receipt

T = TypeVar("T")


class BodyKind(enum.StrEnum):
    """How a wire shows the body's bytes: JSON text as it is, a text string, or binary."""

    JSON = "json"
    TEXT = "text"
    BINARY = "binary"


class NewMessage(Struct, frozen=True, kw_only=True):
    """A message as its sender gave it, before a store has accepted it.

    `max_retries` is the number of deliveries before dead-lettering. 0 there, and None for `dlq`, mean what the queue
    says whenever a lease ends; without a DLQ the message is redelivered for ever.
    None for `delay_ms` and `retention_ms` means what the queue says now: a store is given no such message.
    `group_id` None: in no group, which only a FIFO queue refuses. `dedup_id` None: what the queue makes of its content,
    or never a duplicate.
    `retention_ms` 0: kept for ever.
    """

    body: bytes
    body_kind: BodyKind = BodyKind.JSON
    attributes: dict[str, str] = {}
    delay_ms: int | None = None
    max_retries: int = 0
    dlq: str | None = None
    trace_id: str | None = None
    group_id: str | None = None
    dedup_id: str | None = None
    retention_ms: int | None = None


def size_of(body: bytes, attributes: dict[str, str]) -> int:
    """The bytes that a message counts as: its body with its attributes."""
    size = len(body)
    for name, value in attributes.items():
        size += len(name.encode("utf-8", "replace")) + len(value.encode("utf-8", "replace"))
    return size


class Accepted(Struct, frozen=True):
    """The message is stored under this id; where it is a `duplicate`, the earlier one with its dedup_id is."""

    id: int
    duplicate: bool = False


class ReceivedMessage(Struct, frozen=True, kw_only=True):
    """A message as its receiver is shown it; it does not show its receipt.

    `lease_until` None means it is not leased.
    `delivery_count` counts this queue's deliveries only, `deliveries_before` those of the queues it was in before.
    The `origin_` fields are set on dead letters: the queue they came from and their deliveries there.
    """

    id: int
    body: bytes
    body_kind: BodyKind
    attributes: dict[str, str]
    enqueued_at: datetime
    lease_until: datetime | None
    delivery_count: int
    deliveries_before: int
    max_retries: int
    dlq: str | None
    trace_id: str | None
    group_id: str | None
    dedup_id: str | None
    last_error: str | None
    origin_queue: str | None
    origin_delivery_count: int | None

    @property
    def fence(self) -> int:
        """A number that grows with every delivery of this message, in whichever queue."""
        return self.deliveries_before + self.delivery_count


class Message(ReceivedMessage, frozen=True, kw_only=True):
    """A message as a store keeps it.

    `expires_at` None means that it is kept for ever. `first_claimed_at` is when it was first delivered, None while it
    was not: a dead letter keeps it, and a redrive begins anew. In a store, `max_retries` 0 and `dlq` None leave it to
    the queue that the message is in, and so does a `dlq` that is that queue.
    """

    not_before: datetime
    first_claimed_at: datetime | None
    expires_at: datetime | None


class Received(Struct, frozen=True):
    """One leased message in the hands of one receiver, until the lease ends or the ack."""

    message: ReceivedMessage
    receipt: Receipt

    @property
    def body(self) -> Any:
        """What was sent, by its kind: the JSON value, a str of text, or bytes."""
        match self.message.body_kind:
            case BodyKind.JSON:
                return self.json()
            case BodyKind.TEXT:
                return self.message.body.decode()
            case BodyKind.BINARY:
                return self.message.body

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, kind: type[T]) -> T: ...
    def json(self, kind: Any = Any) -> Any:
        """The body read as JSON, whatever its kind, as a value of that type. Raises msgspec.ValidationError."""
        return msgspec.json.decode(self.message.body, type=kind)


class Delivery(Received, frozen=True):
    """A leased message as a store hands it out."""

    message: Message
    receipt: Receipt
