"""Queues and their settings."""

from typing import Annotated

from msgspec import Struct

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue
from sqslite.domain.limits import (
    BODY_BYTES_MAX_DEFAULT,
    CLAIM_DEFAULT,
    MAX_RETRIES_DEFAULT,
    VISIBILITY_MS_DEFAULT,
    about,
)
from sqslite.domain.retry import Backoff


class QueueSettings(Struct, frozen=True, kw_only=True):
    """What a queue decides for messages and calls that do not say; null means the service's default."""

    visibility_ms: Annotated[
        int | None, about("Milliseconds a receive leases messages for.", 30_000, low=1, high=limits.VISIBILITY_MS_MAX)
    ] = None
    delay_ms: Annotated[
        int | None, about("Milliseconds before a message can be received.", 0, low=0, high=limits.DELAY_MS_MAX)
    ] = None
    max_retries: Annotated[
        int | None, about("Deliveries before dead-lettering.", 5, low=1, high=limits.MAX_RETRIES_MAX)
    ] = None
    dlq: Annotated[
        str | None, about("The dead-letter queue of messages that name none.", "failed", pattern=limits.NAME_PATTERN)
    ] = None
    receive_wait_ms: Annotated[
        int | None, about("Milliseconds a receive waits for messages.", 0, low=0, high=limits.WAIT_MS_MAX)
    ] = None
    body_bytes_max: Annotated[
        int | None, about("Bytes a body may have; the service's own limit stands.", 262_144, low=1)
    ] = None
    backoff: Annotated[
        Backoff, about("How long a message waits between deliveries.", {"kind": "exponential", "base_ms": 1_000})
    ] = Backoff()
    tags: Annotated[dict[str, str], about("Words of your own about the queue, up to 50.", {"team": "billing"})] = {}


class Queue(Struct, frozen=True, kw_only=True):
    """A queue: a name for people, a partition for the store, and its settings."""

    name: str
    partition_id: int
    settings: QueueSettings = QueueSettings()


class Defaults(Struct, frozen=True, kw_only=True):
    """What the operator decided for queues that do not say."""

    visibility_ms: int = VISIBILITY_MS_DEFAULT
    claim_max: int = CLAIM_DEFAULT
    max_retries: int = MAX_RETRIES_DEFAULT
    body_bytes_max: int = BODY_BYTES_MAX_DEFAULT


def check_settings(queue: str, settings: QueueSettings, body_bytes_max: int) -> QueueSettings:
    """The settings, or InvalidValue naming the first that is out of its limits."""
    for field, low, high in (
        ("visibility_ms", 1, limits.VISIBILITY_MS_MAX),
        ("delay_ms", 0, limits.DELAY_MS_MAX),
        ("max_retries", 1, limits.MAX_RETRIES_MAX),
        ("receive_wait_ms", 0, limits.WAIT_MS_MAX),
        ("body_bytes_max", 1, body_bytes_max),
    ):
        value = getattr(settings, field)
        if value is not None:
            limits.check_range(field, value, low, high)
    if settings.dlq is not None:
        limits.check_queue_name("dlq", settings.dlq)
        if settings.dlq == queue:
            raise InvalidValue("dlq", settings.dlq, "another queue than this one")
    _check_backoff(settings.backoff)
    _check_tags(settings.tags)
    return settings


def _check_backoff(backoff: Backoff) -> None:
    limits.check_range("backoff.base_ms", backoff.base_ms, 0, limits.DELAY_MS_MAX)
    limits.check_range("backoff.factor", backoff.factor, 1, limits.BACKOFF_FACTOR_MAX)
    limits.check_range("backoff.max_ms", backoff.max_ms, 0, limits.DELAY_MS_MAX)
    limits.check_range("backoff.jitter", backoff.jitter, 0, 1)


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > limits.TAGS_MAX:
        raise InvalidValue("tags", len(tags), f"at most {limits.TAGS_MAX} tags")
    for key, value in tags.items():
        if not key:
            raise InvalidValue("tags", key, "named: a key has at least one character")
        limits.check_text("tags", key, limits.TAG_KEY_CHARS_MAX)
        limits.check_text(f"tags.{key}", value, limits.TAG_VALUE_CHARS_MAX)
