"""Every way a call can be refused, each with a stable code that all transports share."""

import enum
from typing import ClassVar

import msgspec

VALUE_CHARS_SHOWN_MAX = 80


class ErrorCode(enum.StrEnum):
    """Stable, machine-readable names of refusals; they never change once published."""

    INVALID_VALUE = "invalid_value"
    INVALID_RECEIPT = "invalid_receipt"
    BODY_TOO_LARGE = "body_too_large"
    MESSAGE_NOT_FOUND = "message_not_found"
    QUEUE_NOT_FOUND = "queue_not_found"
    QUEUE_CONFLICT = "queue_conflict"
    STALE_RECEIPT = "stale_receipt"
    REDRIVE_NOT_FOUND = "redrive_not_found"
    REDRIVE_CONFLICT = "redrive_conflict"
    TOO_MANY_IN_FLIGHT = "too_many_in_flight"
    OVERLOADED = "overloaded"
    STORE_UNAVAILABLE = "store_unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    SCHEMA_TOO_NEW = "schema_too_new"


class SqsliteError(Exception):
    """A call was refused, for the reason its code names and its text says to a person."""

    code: ClassVar[ErrorCode]


class InvalidValue(SqsliteError):
    """A value is malformed or outside its limit; nothing was changed."""

    code = ErrorCode.INVALID_VALUE

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} must be {allowed}; got {shown(value)}")
        self.field = field


class InvalidReceipt(InvalidValue):
    """The text is not a receipt that this service ever gave out, or belongs to another message."""

    code = ErrorCode.INVALID_RECEIPT


class BodyTooLarge(SqsliteError):
    """Body and attributes together have more bytes than the queue takes; nothing was enqueued."""

    code = ErrorCode.BODY_TOO_LARGE

    def __init__(self, body_bytes: int, body_bytes_max: int) -> None:
        super().__init__(f"body must be at most {body_bytes_max} bytes, attributes included; got {body_bytes} bytes")


class MessageNotFound(SqsliteError):
    """No such message: it was acked, it expired, or it never was."""

    code = ErrorCode.MESSAGE_NOT_FOUND

    def __init__(self, message_id: int) -> None:
        super().__init__(f"message {message_id} does not exist (already acked, expired, or never enqueued)")


class QueueNotFound(SqsliteError):
    """No such queue: it was never created, and no message was ever enqueued to it."""

    code = ErrorCode.QUEUE_NOT_FOUND

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue} does not exist")


class QueueConflict(SqsliteError):
    """The queue is there with a setting that cannot change; nothing was changed."""

    code = ErrorCode.QUEUE_CONFLICT

    def __init__(self, queue: str, fifo: bool) -> None:
        super().__init__(
            f"fifo of queue {queue} is {shown(fifo)} and cannot change; delete the queue to create it anew"
        )


class RedriveNotFound(SqsliteError):
    """The queue has no such redrive task."""

    code = ErrorCode.REDRIVE_NOT_FOUND

    def __init__(self, task_id: object) -> None:
        super().__init__(f"redrive {task_id} does not exist")


class RedriveConflict(SqsliteError):
    """The redrive task is in no state for that, or the queue has one that runs already; nothing was changed."""

    code = ErrorCode.REDRIVE_CONFLICT


class StaleReceipt(SqsliteError):
    """The receipt was superseded by a later delivery, or its lease was settled; nothing was changed."""

    code = ErrorCode.STALE_RECEIPT

    def __init__(self, message_id: int) -> None:
        super().__init__(f"the receipt for message {message_id} is stale: its delivery was superseded or given up")


class InFlightLimit(SqsliteError):
    """As many messages of the queue are leased as it allows at once; ack some, or wait until leases end."""

    code = ErrorCode.TOO_MANY_IN_FLIGHT

    def __init__(self, queue: str, in_flight_max: int) -> None:
        super().__init__(f"queue {queue} allows about {in_flight_max} messages in flight, and has as many")


class Overloaded(SqsliteError):
    """More work is waiting than the service accepts; nothing was done, try again shortly."""

    code = ErrorCode.OVERLOADED


class StoreUnavailable(SqsliteError):
    """The storage did not take the call; nothing was done."""

    code = ErrorCode.STORE_UNAVAILABLE


class OutcomeUnknown(SqsliteError):
    """The connection failed while the storage was committing: the change may or may not have happened."""

    code = ErrorCode.OUTCOME_UNKNOWN


class SchemaTooNew(SqsliteError):
    """The database was migrated by a newer sqslite than this one; nothing was touched."""

    code = ErrorCode.SCHEMA_TOO_NEW


def shown(value: object) -> str:
    """The value as an error text shows it: as JSON where it can be, cut to a bounded length."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, OverflowError, UnicodeEncodeError):
        text = repr(value)
    if len(text) > VALUE_CHARS_SHOWN_MAX:
        return f"{text[:VALUE_CHARS_SHOWN_MAX]}… ({len(text)} characters)"
    return text
