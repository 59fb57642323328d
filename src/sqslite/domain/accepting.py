"""What a message must be like before a queue accepts it."""

import hashlib

from msgspec.structs import replace

from sqslite.domain import limits
from sqslite.domain.bodies import check_body
from sqslite.domain.errors import BodyTooLarge, InvalidValue
from sqslite.domain.messages import NewMessage, size_of
from sqslite.domain.queues import DedupScope, Defaults, Queue, check_retention

# A control character, which is in no id.
BETWEEN_IDS = "\x1f"


def check_message(queue: str, message: NewMessage, defaults: Defaults, measured: bool = False) -> None:
    """Raise InvalidValue or BodyTooLarge where no queue of that name could accept the message.

    `measured`: its size was held to the limit by another measure.
    """
    check_body(message)
    if not measured:
        _check_size(message, defaults.body_bytes_max)
    if message.attributes:
        limits.check_attributes(message.attributes)
    if message.delay_ms is not None:
        limits.check_range("delay", message.delay_ms, 0, limits.DELAY_MS_MAX)
    if message.max_retries:
        limits.check_range("max_retries", message.max_retries, 0, limits.MAX_RETRIES_MAX)
    if message.dlq is not None:
        limits.check_queue_name("dlq", message.dlq)
        if message.dlq == queue:
            raise InvalidValue("dlq", message.dlq, "another queue than the message's own")
    if message.trace_id is not None:
        limits.check_text("trace_id", message.trace_id, limits.TRACE_ID_CHARS_MAX)
    if message.group_id is not None:
        limits.check_id("group_id", message.group_id, limits.GROUP_ID_CHARS_MAX)
    if message.dedup_id is not None:
        limits.check_id("dedup_id", message.dedup_id, limits.DEDUP_ID_CHARS_MAX)
    if message.retention_ms is not None:
        check_retention("retention_ms", message.retention_ms, defaults)


def check_for_queue(queue: Queue, message: NewMessage, measured: bool = False) -> None:
    """Raise InvalidValue or BodyTooLarge where this queue's settings do not allow the message; `measured` as above."""
    if not measured and queue.settings.body_bytes_max is not None:
        _check_size(message, queue.settings.body_bytes_max)
    if queue.settings.fifo and message.group_id is None:
        raise InvalidValue("group_id", None, f"given for each message of {queue.name}, which is a FIFO queue")


def resolved(queue: Queue, message: NewMessage, defaults: Defaults) -> NewMessage:
    """The message with what its sender left to the queue and to the service, as far as that is decided now."""
    return replace(
        message,
        delay_ms=(queue.settings.delay_ms or 0) if message.delay_ms is None else message.delay_ms,
        retention_ms=defaults.retention_ms(queue) if message.retention_ms is None else message.retention_ms,
        dedup_id=_content_id(message) if queue.settings.dedup_by_content else message.dedup_id,
    )


def dedup_key(queue: Queue, message: NewMessage) -> str | None:
    """What the queue remembers so that it knows the message's dedup_id again; None where it has none."""
    if message.dedup_id is None or queue.settings.dedup_scope is DedupScope.QUEUE:
        return message.dedup_id
    return f"{message.group_id or ''}{BETWEEN_IDS}{message.dedup_id}"


def _content_id(message: NewMessage) -> str:
    # SQS developer guide, content-based deduplication: of the body, not of the attributes.
    return hashlib.sha256(message.body).hexdigest() if message.dedup_id is None else message.dedup_id


def _check_size(message: NewMessage, body_bytes_max: int) -> None:
    size = size_of(message.body, message.attributes)
    if size > body_bytes_max:
        raise BodyTooLarge(size, body_bytes_max)
