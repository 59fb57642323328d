"""ReceiveMessage."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from sqslite.domain.asker import Asker
from sqslite.domain.limits import SECOND_MS
from sqslite.domain.messages import BodyKind, Delivery, Message
from sqslite.domain.queues import Queue
from sqslite.entrypoints.http.parking import unless_gone
from sqslite.entrypoints.sqs import inputs, md5, message_attributes
from sqslite.entrypoints.sqs.calls import Answer, Call
from sqslite.entrypoints.sqs.errors import invalid_value, unknown_attribute
from sqslite.entrypoints.sqs.inputs import text, texts
from sqslite.entrypoints.sqs.message_attributes import TRACE_HEADER
from sqslite.entrypoints.sqs.names import checked_id, message_uuid, sequence_number
from sqslite.entrypoints.sqs.queue_attributes import KNOWN, visibility_s

MESSAGES_MAX = 10
VISIBILITY_S_MAX = 43_200
WAIT_S_MAX = 20
# The name of them all, as AWS documents it and as kombu, Celery's transport, writes it.
EVERY = frozenset(("All", "ALL"))


async def receive_message(call: Call, asked: inputs.ReceiveMessage) -> Answer:
    """Lease up to ten messages, at once or as soon as there is one."""
    queue = await call.queue(asked.queue_url)
    limit = _ranged("MaxNumberOfMessages", asked.max_number_of_messages, 1, MESSAGES_MAX, "Must be between 1 and 10")
    visible_after_s = _ranged(
        "VisibilityTimeout", asked.visibility_timeout, 0, VISIBILITY_S_MAX, "Must be between 0 and 43200"
    )
    wait_s = _ranged("WaitTimeSeconds", asked.wait_time_seconds, 0, WAIT_S_MAX, "Must be >= 0 and <= 20")
    attempt_id = _attempt_id(queue, text(asked.receive_request_attempt_id))
    system = [*texts(asked.attribute_names), *texts(asked.message_system_attribute_names)]
    for name in system:
        if name not in SYSTEM and name not in KNOWN and name not in EVERY:
            raise unknown_attribute(name)
    if visible_after_s is None:
        visible_after_s = visibility_s(queue, call.ports.defaults)

    def claim(asker: Asker) -> Awaitable[list[Delivery]]:
        return call.ports.service.claim(
            queue.name,
            limit or 1,
            # 0 would be the queue's own here; what is to be visible at once is given back below.
            (visible_after_s or 1) * SECOND_MS,
            None if wait_s is None else wait_s * SECOND_MS,
            asker,
            attempt_id,
            whole_groups=True,
        )

    deliveries = await unless_gone(call.incoming, claim, call.ports.service.release)
    if visible_after_s == 0:
        await call.ports.service.release(deliveries)
    names = texts(asked.message_attribute_names)
    shown = [_shown(call, queue, delivery, system, names) for delivery in _in_order(queue, deliveries)]
    return {"Messages": shown} if shown else {}


def _ranged(parameter: str, value: int | None, low: int, high: int, must: str) -> int | None:
    if value is not None and not low <= value <= high:
        raise invalid_value(parameter, value, f"{must}, if provided.")
    return value


def _attempt_id(queue: Queue, attempt_id: str | None) -> str | None:
    if not attempt_id:
        return None
    parameter = "ReceiveRequestAttemptId"
    if not queue.settings.fifo:
        raise invalid_value(
            parameter, attempt_id, "The request include parameter that is not valid for this queue type."
        )
    return checked_id(parameter, attempt_id)


def _in_order(queue: Queue, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
    """As they came; from a FIFO queue one group behind another, as AWS answers."""
    if not queue.settings.fifo:
        return deliveries
    firsts: dict[str | None, int] = {}
    for delivery in deliveries:
        firsts.setdefault(delivery.message.group_id, len(firsts))
    return sorted(deliveries, key=lambda delivery: firsts[delivery.message.group_id])


def _shown(
    call: Call, queue: Queue, delivery: Delivery, system: Sequence[str], names: Sequence[str]
) -> dict[str, object]:
    message = delivery.message
    body = body_text(message)
    shown: dict[str, object] = {
        "MessageId": message_uuid(message.id),
        "ReceiptHandle": delivery.receipt.token(),
        "MD5OfBody": md5.of_body(body.encode()),
        "Body": body,
    }
    if system:
        every = not EVERY.isdisjoint(system)
        values = {
            name: value
            for name, say in SYSTEM.items()
            if (every or name in system) and (value := say(call, queue, message)) is not None
        }
        if values:
            shown["Attributes"] = values
    if names and message.attributes:
        attributes = message_attributes.chosen(message_attributes.uncarried(message.attributes), names)
        if attributes:
            shown["MD5OfMessageAttributes"] = md5.of_attributes(attributes)
            shown["MessageAttributes"] = {each.name: message_attributes.shown(each) for each in attributes}
    return shown


def body_text(message: Message) -> str:
    """The body as this API shows it: JSON as its text, binary in base64."""
    if message.body_kind is BodyKind.BINARY:
        return base64.b64encode(message.body).decode()
    return message.body.decode()


def millis(instant: datetime) -> str:
    """The instant as AWS writes it: milliseconds since 1970."""
    return str(int(instant.timestamp() * 1_000))


Say = Callable[[Call, Queue, Message], str | None]


def _first_received(call: Call, queue: Queue, message: Message) -> str:
    return millis(message.first_claimed_at or call.ports.clock.now())


def _dedup_id(message: Message) -> str | None:
    # SQS developer guide, dead-letter queue redrive: in a FIFO dead-letter queue it is the message's own id.
    return message.dedup_id if message.origin_queue is None else message_uuid(message.id)


def _source_arn(call: Call, queue: Queue, message: Message) -> str | None:
    return None if message.origin_queue is None else call.place.arn(message.origin_queue)


# What is told of a message, by the name of the system attribute; None where it has none.
SYSTEM: dict[str, Say] = {
    "SenderId": lambda call, queue, message: call.place.account,
    "SentTimestamp": lambda call, queue, message: millis(message.enqueued_at),
    # A dead letter's count goes on where it was in its source.
    "ApproximateReceiveCount": lambda call, queue, message: str(
        (message.origin_delivery_count or 0) + message.delivery_count
    ),
    "ApproximateFirstReceiveTimestamp": _first_received,
    "MessageGroupId": lambda call, queue, message: message.group_id,
    "MessageDeduplicationId": lambda call, queue, message: _dedup_id(message) if queue.settings.fifo else None,
    "SequenceNumber": lambda call, queue, message: sequence_number(message.id) if queue.settings.fifo else None,
    TRACE_HEADER: lambda call, queue, message: message.trace_id,
    "DeadLetterQueueSourceArn": _source_arn,
}
