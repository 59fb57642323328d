"""The JSON shapes of the REST API; each field carries the sentence and example that OpenAPI shows."""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from sqslite.domain import limits
from sqslite.domain.limits import about
from sqslite.domain.messages import BodyKind

_NAME = {"pattern": limits.NAME_PATTERN}


# SQS developer guide: 1 to 128 characters.
_ID = {"minLength": 1, "maxLength": limits.GROUP_ID_CHARS_MAX, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}
_TEXT = {"maxLength": limits.TRACE_ID_CHARS_MAX, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}


def when(sentence: str, example: str) -> Meta:
    """What an instant is for, with an example."""
    return about(sentence, example, format="date-time")


_RECEIPT = about(
    "The receipt of the delivery, as handed out by the receive.",
    "AQAAAAAAAAABAAAAAAAAAHsAAAABoKGio6SlpqeoqaqrrK2urw",
    pattern="^[A-Za-z0-9_-]{50}$",
)
MESSAGE_ID = about("The message's id, unique in this service and below 2^53.", 123, low=1, high=limits.MESSAGE_ID_MAX)


class EnqueueIn(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A message to enqueue."""

    body: Annotated[
        Raw,
        about(
            "Any JSON value except null; it comes back byte for byte.",
            {"task": "process-order"},
            **{"not": {"type": "null"}},
        ),
    ]
    body_kind: Annotated[
        BodyKind,
        about("json: the value itself; text: body is a string; binary: body is a base64 string.", "json"),
    ] = BodyKind.JSON
    delay: Annotated[
        int | None,
        about("Milliseconds before the message can be received.", 5_000, low=0, high=limits.DELAY_MS_MAX),
    ] = None
    max_retries: Annotated[
        int | None,
        about(
            "Deliveries before dead-lettering; missing or 0 means the queue's setting.",
            3,
            low=0,
            high=limits.MAX_RETRIES_MAX,
        ),
    ] = None
    dlq: Annotated[str | None, about("The dead-letter queue's name.", "failed-queue", **_NAME)] = None
    trace_id: Annotated[
        str | None,
        about("A text for tracing, handed out with the message.", "xyz123", **_TEXT),
    ] = None
    group_id: Annotated[
        str | None,
        about(
            "The group: in a FIFO queue order holds within it, in a fair queue it gets its turn.", "customer-7", **_ID
        ),
    ] = None
    dedup_id: Annotated[
        str | None,
        about(
            "A message with the same one, within the queue's dedup_ms, is a duplicate of this one.", "order-42", **_ID
        ),
    ] = None
    attributes: Annotated[
        dict[str, str],
        about(
            "Up to 50 named texts handed out with the message; they count in its size.",
            {"priority": "high"},
            maxProperties=limits.ATTRIBUTES_MAX,
        ),
    ] = {}
    retention_ms: Annotated[
        int | None,
        about(
            "Milliseconds the message is kept; missing means the queue's setting, 0 for ever where that is allowed.",
            86_400_000,
            low=0,
            high=limits.RETENTION_MS_MAX,
        ),
    ] = None


class EnqueueOut(Struct, omit_defaults=True):
    """The message is stored, now or as the earlier one that it is a duplicate of."""

    id: Annotated[int, MESSAGE_ID]
    duplicate: Annotated[bool, about("True where a message with this dedup_id was there; only then.", True)] = False


class ReceiveIn(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """How many messages to receive, and for how long."""

    max: Annotated[
        int | None,
        about("Messages to receive at most; missing means RECEIVE_MAX.", 10, low=1, high=limits.CLAIM_MAX),
    ] = None
    visibility_ms: Annotated[
        int | None,
        about(
            "Milliseconds the messages stay leased; missing or 0 means the queue's setting.",
            30_000,
            low=0,
            high=limits.VISIBILITY_MS_MAX,
        ),
    ] = None
    wait_ms: Annotated[
        int | None,
        about(
            "Milliseconds to wait for a message when there is none; missing means the queue's setting.",
            20_000,
            low=0,
            high=limits.WAIT_MS_MAX,
        ),
    ] = None
    attempt_id: Annotated[
        str | None,
        about("A receive tried again with the same one within 5 minutes gets the same messages.", "try-1", **_ID),
    ] = None


class MessageOut(Struct, omit_defaults=True):
    """A delivered message, leased until `lease_until`."""

    id: Annotated[int, MESSAGE_ID]
    body: Annotated[Raw, about("The JSON value as it was sent, or a string for text and binary.", {"task": "go"})]
    receipt: Annotated[str, _RECEIPT]
    lease_until: Annotated[datetime | None, when("When the lease ends, RFC 3339 in UTC.", "2026-01-07T10:00:30Z")]
    delivery_count: Annotated[int, about("How often it was delivered, this time included.", 1, low=1)]
    fence: Annotated[int, about("Grows with every delivery of this message, in whichever queue.", 1, low=1)]
    max_retries: Annotated[int, about("Deliveries before dead-lettering.", 3, low=1)]
    enqueued_at: Annotated[datetime, when("When it was first enqueued.", "2026-01-07T10:00:00Z")]
    dlq: Annotated[str | UnsetType, about("The dead-letter queue's name; only when set.", "failed-queue")] = UNSET
    trace_id: Annotated[str | UnsetType, about("The text given for tracing; only when set.", "xyz123")] = UNSET
    group_id: Annotated[str | UnsetType, about("The message's group; only when set.", "customer-7")] = UNSET
    dedup_id: Annotated[
        str | UnsetType, about("What duplicates of the message are known by; only when set.", "order-42")
    ] = UNSET
    attributes: Annotated[dict[str, str], about("The named texts; only when there are any.", {"priority": "high"})] = {}
    body_kind: Annotated[BodyKind, about("How to read body; only when it is not json.", "text")] = BodyKind.JSON
    last_error: Annotated[str | UnsetType, about("Why the last delivery failed; only when said.", "timeout")] = UNSET
    origin_queue: Annotated[str | UnsetType, about("The queue a dead letter came from.", "orders")] = UNSET
    origin_delivery_count: Annotated[int | UnsetType, about("The deliveries it had there.", 3)] = UNSET


class AckIn(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """An ack; without a receipt, whoever holds the message, it is deleted."""

    receipt: Annotated[str | None, _RECEIPT] = None


class AckOut(Struct):
    """The message is gone for good."""

    ok: Annotated[bool, about("Always true.", True)] = field(default=True)


class NackIn(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The lease is given up."""

    receipt: Annotated[str, _RECEIPT]
    delay_ms: Annotated[
        int | None,
        about(
            "Milliseconds before the next delivery; missing means the queue's backoff.",
            1_000,
            low=0,
            high=limits.DELAY_MS_MAX,
        ),
    ] = None
    error: Annotated[
        str | None,
        about(
            "Why the work failed, kept with the message; at most 4096 bytes.",
            "card declined",
            maxLength=limits.ERROR_BYTES_MAX,
        ),
    ] = None
    dead_letter: Annotated[
        bool, about("True moves the message to its dlq now, with deliveries left or not.", False)
    ] = False


class ExtendIn(Struct, forbid_unknown_fields=True):
    """The message is held longer, or (0) released."""

    receipt: Annotated[str, _RECEIPT]
    visibility_ms: Annotated[
        int, about("Milliseconds from now until the lease ends.", 30_000, low=0, high=limits.VISIBILITY_MS_MAX)
    ]


class ExtendOut(Struct):
    """The lease ends later."""

    lease_until: Annotated[datetime, when("When the lease ends, RFC 3339 in UTC.", "2026-01-07T10:01:00Z")]


class ResultOut(Struct, omit_defaults=True):
    """What became of one entry of a batch: what it got, or error and code."""

    id: Annotated[int | UnsetType, about("The id of the message that was enqueued.", 123)] = UNSET
    duplicate: Annotated[bool | UnsetType, about("True where it is the earlier one's; only then.", True)] = UNSET
    lease_until: Annotated[datetime | UnsetType, when("When the extended lease ends.", "2026-01-07T10:01:00Z")] = UNSET
    ok: Annotated[
        bool | UnsetType, about("True where the entry was carried out and there is nothing to tell.", True)
    ] = UNSET
    error: Annotated[str | UnsetType, about("A sentence for a person.", "body is required")] = UNSET
    code: Annotated[str | UnsetType, about("A stable word for a program.", "missing_field")] = UNSET


class ResultsOut(Struct):
    """One result for each entry, in order."""

    results: Annotated[list[ResultOut], about("A result for each entry.", [{"id": 123}])]


_ENTRIES = {"minItems": 1, "maxItems": limits.BATCH_MAX}


class EnqueueBatchIn(Struct, forbid_unknown_fields=True):
    """Messages to enqueue, each as for a single enqueue; a bad one fails alone."""

    messages: Annotated[list[Raw], about("1 to 1000 messages.", [{"body": {"n": 1}}], **_ENTRIES)]


class AckEntry(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """One ack: by receipt, or by id alone whoever holds the message."""

    id: Annotated[int | None, MESSAGE_ID] = None
    receipt: Annotated[str | None, _RECEIPT] = None


class NackEntry(NackIn, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """One nack; the receipt alone is enough."""

    id: Annotated[int | None, MESSAGE_ID] = None


class ExtendEntry(ExtendIn, forbid_unknown_fields=True, kw_only=True):
    """One extension; the receipt alone is enough."""

    id: Annotated[int | None, MESSAGE_ID] = None


class AckBatchIn(Struct, forbid_unknown_fields=True):
    """Messages whose work is done."""

    acks: Annotated[list[Raw], about("1 to 1000 of {id, receipt}.", [{"receipt": "AQAAAA"}], **_ENTRIES)]


class NackBatchIn(Struct, forbid_unknown_fields=True):
    """Leases to give up."""

    nacks: Annotated[
        list[Raw], about("1 to 1000 of {id, receipt, delay_ms, error}.", [{"receipt": "AQAAAA"}], **_ENTRIES)
    ]


class ExtendBatchIn(Struct, forbid_unknown_fields=True):
    """Leases to make longer."""

    extends: Annotated[
        list[Raw],
        about("1 to 1000 of {id, receipt, visibility_ms}.", [{"receipt": "AQAAAA", "visibility_ms": 1}], **_ENTRIES),
    ]


class ErrorOut(Struct):
    """A refusal."""

    error: Annotated[str, about("A sentence for a person.", "max must be 1 to 1000; got 0")]
    code: Annotated[str, about("A stable word for a program.", "invalid_value")]
