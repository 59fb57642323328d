"""The limits of everything a client may send, and the checks that name field, value and limit."""

import re
import unicodedata
from datetime import timedelta
from typing import Any, TypeVar

from msgspec import Meta

from sqslite.domain.errors import InvalidValue

N = TypeVar("N", int, float)

SECOND_MS = 1_000
DAY_MS = 24 * 60 * 60 * SECOND_MS

QUEUE_NAME_CHARS_MAX = 80
QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}", re.ASCII)
NAME_PATTERN = f"^{QUEUE_NAME.pattern}$"
QUEUE_NAME_ALLOWED = "1 to 80 of the characters A-Z a-z 0-9 _ - ."

BODY_BYTES_MAX_DEFAULT = 1024 * 1024
BODY_BYTES_MAX_CEILING = 64 * 1024 * 1024
DELAY_MS_MAX = 14 * DAY_MS
VISIBILITY_MS_DEFAULT = 30 * SECOND_MS
# SQS API reference, ChangeMessageVisibility: 12 hours in all from the receive.
VISIBILITY_MS_MAX = 12 * 60 * 60 * SECOND_MS
MAX_RETRIES_DEFAULT = 5
# SQS developer guide, dead-letter queues: maxReceiveCount is 1 to 1,000.
MAX_RETRIES_MAX = 1_000
CLAIM_DEFAULT = 10
CLAIM_MAX = 1_000
BATCH_MAX = 1_000
WAIT_MS_MAX = 60 * SECOND_MS
PAGE_DEFAULT = 100
PAGE_MAX = 1_000
# Clients of gRPC take answers of 4 MiB unless they are told otherwise.
PAGE_BYTES_MAX = 3 * 1024 * 1024
BACKOFF_FACTOR_MAX = 1_000
# SQS API reference, TagQueue: 50 tags, keys of 128 and values of 256 characters.
TAGS_MAX = 50
TAG_KEY_CHARS_MAX = 128
TAG_VALUE_CHARS_MAX = 256
TRACE_ID_CHARS_MAX = 256
# SQS API reference, SendMessage: MessageGroupId and MessageDeduplicationId have 1 to 128 characters.
GROUP_ID_CHARS_MAX = 128
DEDUP_ID_CHARS_MAX = 128
# SQS API reference, ReceiveMessage: a ReceiveRequestAttemptId has 1 to 128 characters and is good for 5 minutes.
ATTEMPT_ID_CHARS_MAX = 128
ATTEMPT_MS = 5 * 60 * SECOND_MS
# SQS developer guide: the deduplication interval is 5 minutes.
DEDUP_MS_DEFAULT = 5 * 60 * SECOND_MS
DEDUP_MS_MAX = DAY_MS
# SQS API reference, SetQueueAttributes: MessageRetentionPeriod is 4 days by default and 60 s to 14 days.
RETENTION_MS_DEFAULT = 4 * DAY_MS
RETENTION_MS_MAX = 14 * DAY_MS
RETENTION_FOREVER = 0
# Each node knows a queue's settings anew after a second (directory.REMEMBERED_MS); this leaves it time for a call.
RETENTION_CHANGE_MS = 3 * SECOND_MS
ATTRIBUTES_MAX = 50
ATTRIBUTE_NAME_CHARS_MAX = 256
DEPTH_EXACT_MAX = 10_000
IN_FLIGHT_CEILING = 10_000_000
# SQS API reference, SetQueueAttributes: RedriveAllowPolicy names up to 10 source queues.
REDRIVE_SOURCES_MAX = 10
ANNOTATIONS_MAX = 50
ANNOTATION_KEY_CHARS_MAX = 128
ANNOTATIONS_BYTES_MAX = 64 * 1024
# SQS developer guide: a name can be used again 60 seconds after its queue was deleted. Known for a good while longer.
DELETED_KNOWN_MS = 5 * 60 * SECOND_MS
REDRIVE_RATE_MAX = 10_000
# As long as the longest-lived of the messages that it moved may have lain there before.
REDRIVE_KEPT_MS = RETENTION_MS_MAX
ERROR_BYTES_MAX = 4 * 1024
# JavaScript reads integers exactly up to here, so ids stay below.
MESSAGE_ID_MAX = 2**53 - 1


def about(sentence: str, example: Any, *, low: int | None = None, high: int | None = None, **schema: Any) -> Meta:
    """What a field is for, with an example and its limits: for people and for API documents, not a check."""
    bounds = {"minimum": low, "maximum": high}
    schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    return Meta(description=sentence, examples=[example], extra_json_schema=schema or None)


def ms(count: int) -> timedelta:
    """A duration of `count` milliseconds."""
    return timedelta(milliseconds=count)


def check_range(field: str, value: N, low: N, high: N) -> N:
    """The value, or InvalidValue where it is not in `low..high`."""
    if not low <= value <= high:
        raise InvalidValue(field, value, f"{low} to {high}")
    return value


def check_queue_name(field: str, name: str) -> str:
    """The name, or InvalidValue where it is no queue name (SQS: 1–80 characters; sqslite adds the dot)."""
    if not QUEUE_NAME.fullmatch(name):
        raise InvalidValue(field, name, QUEUE_NAME_ALLOWED)
    return name


def check_text(field: str, text: str, chars_max: int) -> str:
    """The text, or InvalidValue where it is too long or has control characters (no storage keeps NUL as text)."""
    if len(text) > chars_max:
        raise InvalidValue(field, text, f"at most {chars_max} characters")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        raise InvalidValue(field, text, "free of control characters")
    return text


def check_id(field: str, text: str, chars_max: int) -> str:
    """The text, or InvalidValue where it is empty, too long, or has control characters."""
    if not text:
        raise InvalidValue(field, text, f"1 to {chars_max} characters")
    return check_text(field, text, chars_max)


def check_storable(field: str, text: str) -> None:
    """Raise InvalidValue where it is no text that every store keeps."""
    if any(char == "\0" or unicodedata.category(char) == "Cs" for char in text):
        raise InvalidValue(field, text, "free of NUL and of lone surrogates")


def check_attributes(attributes: dict[str, str]) -> None:
    """Raise InvalidValue where there are too many attributes, or a name or value is no text that every store keeps."""
    if len(attributes) > ATTRIBUTES_MAX:
        raise InvalidValue("attributes", len(attributes), f"at most {ATTRIBUTES_MAX} attributes")
    for name, value in attributes.items():
        check_id("attributes", name, ATTRIBUTE_NAME_CHARS_MAX)
        check_storable(f"attributes.{name}", value)


def check_error(text: str) -> str:
    """The error text of a failed piece of work, or InvalidValue where it is too long or no storage keeps it as text."""
    check_storable("error", text)
    if len(text.encode()) > ERROR_BYTES_MAX:
        raise InvalidValue("error", text, f"at most {ERROR_BYTES_MAX} bytes")
    return text
