"""Queues and their settings."""

from msgspec import Struct

from sqslite.domain.limits import (
    BODY_BYTES_MAX_DEFAULT,
    CLAIM_DEFAULT,
    MAX_RETRIES_DEFAULT,
    VISIBILITY_MS_DEFAULT,
)
from sqslite.domain.retry import Backoff


class QueueSettings(Struct, frozen=True, kw_only=True):
    """What a queue decides for messages and calls that do not say; None means the service's default."""

    visibility_ms: int | None = None
    max_retries: int | None = None
    dlq: str | None = None
    backoff: Backoff = Backoff()


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
