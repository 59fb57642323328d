"""Queues and their settings."""

import enum
from datetime import datetime
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
from sqslite.domain.retry import Backoff, RetryPolicy


class Discipline(enum.StrEnum):
    """In which order a queue serves its messages.

    STANDARD: oldest available first. FAIR: the groups in turn, least recently served first, and within a group as
    STANDARD. FIFO: the groups in turn, within a group by acceptance (by id), and none of a group of which a message
    is leased or waits for its retry.
    """

    STANDARD = "standard"
    FAIR = "fair"
    FIFO = "fifo"

    @property
    def grouped(self) -> bool:
        """Whether it goes by groups."""
        return self is not Discipline.STANDARD


class DedupScope(enum.StrEnum):
    """Within what a dedup_id is known: all of the queue, or each group by itself (SQS: DeduplicationScope)."""

    QUEUE = "queue"
    GROUP = "group"


class QueueSettings(Struct, frozen=True, kw_only=True):
    """What a queue decides for messages and calls that do not say; null means the service's default."""

    fifo: Annotated[bool, about("Order within each group_id holds; cannot change once the queue is there.", False)] = (
        False
    )
    fair: Annotated[bool, about("The groups of group_id are served in turn; not together with fifo.", False)] = False
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
    retention_ms: Annotated[
        int | None,
        about(
            "Milliseconds from its enqueue that a message is kept.", 345_600_000, low=0, high=limits.RETENTION_MS_MAX
        ),
    ] = None
    dedup_ms: Annotated[
        int | None,
        about("Milliseconds in which a dedup_id is known again.", 300_000, low=1, high=limits.DEDUP_MS_MAX),
    ] = None
    dedup_scope: Annotated[
        DedupScope, about("Whether a dedup_id is known in all of the queue or within its group.", "queue")
    ] = DedupScope.QUEUE
    dedup_by_content: Annotated[
        bool, about("Whether the SHA-256 of the body is the dedup_id of a message that gives none.", False)
    ] = False
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
    in_flight_max: Annotated[
        int | None,
        about("About how many messages may be leased at once.", 120_000, low=1, high=limits.IN_FLIGHT_CEILING),
    ] = None
    redrive_allow: Annotated[
        list[Annotated[str, about("The name of such a queue.", "orders", pattern=limits.NAME_PATTERN)]] | None,
        about(
            "The queues that may have this one as their dlq; null allows all.",
            ["orders"],
            maxItems=limits.REDRIVE_SOURCES_MAX,
        ),
    ] = None
    annotations: Annotated[
        dict[str, str],
        about("What tools and wires keep with the queue; sqslite does not read it.", {"example.com/owner": "7"}),
    ] = {}

    @property
    def discipline(self) -> Discipline:
        """The order that these settings make."""
        if self.fifo:
            return Discipline.FIFO
        return Discipline.FAIR if self.fair else Discipline.STANDARD

    @property
    def kept_ms(self) -> int:
        """How long messages are kept whose senders did not say; 0 is for ever."""
        return limits.RETENTION_MS_DEFAULT if self.retention_ms is None else self.retention_ms

    def allows_redrive_from(self, source: str) -> bool:
        """Whether the queue of that name may have this one as its dlq (SQS: RedriveAllowPolicy)."""
        return self.redrive_allow is None or source in self.redrive_allow


class NamedQueue(Struct, frozen=True, kw_only=True):
    """A queue as its users know it: a name and its settings. A paused one gives nothing out.

    `changed_at` is when its settings changed last, at first when it was created; `purged_at` None: it never was.
    """

    name: str
    created_at: datetime
    changed_at: datetime
    purged_at: datetime | None = None
    settings: QueueSettings = QueueSettings()
    paused: bool = False


class Queue(NamedQueue, frozen=True, kw_only=True):
    """A queue as a store knows it: its messages are in this partition."""

    partition_id: int


class Defaults(Struct, frozen=True, kw_only=True):
    """What the operator decided for queues that do not say."""

    visibility_ms: int = VISIBILITY_MS_DEFAULT
    claim_max: int = CLAIM_DEFAULT
    max_retries: int = MAX_RETRIES_DEFAULT
    body_bytes_max: int = BODY_BYTES_MAX_DEFAULT
    retention_forever: bool = False
    """Whether a retention of 0, which is for ever, may be asked for."""

    def retention_ms(self, queue: Queue, asked_ms: int | None = None) -> int:
        """How long a message of the queue is kept whose sender asked for that (None: did not say); 0 is for ever."""
        return queue.settings.kept_ms if asked_ms is None else asked_ms

    def retry_policy(self, name: str, settings: QueueSettings) -> RetryPolicy:
        """What the queue of that name, with these settings, decides about leases that end."""
        return RetryPolicy(
            queue=name,
            max_retries=settings.max_retries or self.max_retries,
            dlq=settings.dlq,
            backoff=settings.backoff,
        )


def kept_until(since: datetime, retention_ms: int) -> datetime | None:
    """When a retention ends that counts from then; None where it is for ever."""
    return since + limits.ms(retention_ms) if retention_ms else None


def check_retention(field: str, retention_ms: int, defaults: Defaults) -> None:
    """Raise InvalidValue where a message cannot be kept so long; 0, for ever, only where the operator allows it."""
    if defaults.retention_forever:
        limits.check_range(field, retention_ms, limits.RETENTION_FOREVER, limits.RETENTION_MS_MAX)
    elif not 1 <= retention_ms <= limits.RETENTION_MS_MAX:
        allowed = f"1 to {limits.RETENTION_MS_MAX} (0, for ever, only where the operator sets RETENTION_FOREVER=on)"
        raise InvalidValue(field, retention_ms, allowed)


def check_settings(queue: str, settings: QueueSettings, defaults: Defaults) -> QueueSettings:
    """The settings, or InvalidValue naming the first that is out of its limits."""
    for field, low, high in (
        ("visibility_ms", 1, limits.VISIBILITY_MS_MAX),
        ("delay_ms", 0, limits.DELAY_MS_MAX),
        ("max_retries", 1, limits.MAX_RETRIES_MAX),
        ("receive_wait_ms", 0, limits.WAIT_MS_MAX),
        ("body_bytes_max", 1, defaults.body_bytes_max),
        ("dedup_ms", 1, limits.DEDUP_MS_MAX),
        ("in_flight_max", 1, limits.IN_FLIGHT_CEILING),
    ):
        value = getattr(settings, field)
        if value is not None:
            limits.check_range(field, value, low, high)
    if settings.fifo and settings.fair:
        raise InvalidValue("fair", True, "false for a FIFO queue, whose groups are served in turn anyway")
    if settings.retention_ms is not None:
        check_retention("retention_ms", settings.retention_ms, defaults)
    if settings.dlq is not None:
        limits.check_queue_name("dlq", settings.dlq)
        if settings.dlq == queue:
            raise InvalidValue("dlq", settings.dlq, "another queue than this one")
    _check_backoff(settings.backoff)
    _check_tags(settings.tags)
    _check_annotations(settings.annotations)
    if settings.redrive_allow is not None:
        _check_redrive_allow(settings.redrive_allow)
    return settings


def _check_redrive_allow(sources: list[str]) -> None:
    if len(sources) > limits.REDRIVE_SOURCES_MAX:
        raise InvalidValue("redrive_allow", len(sources), f"at most {limits.REDRIVE_SOURCES_MAX} queues")
    for source in sources:
        limits.check_queue_name("redrive_allow", source)


def _check_annotations(annotations: dict[str, str]) -> None:
    if len(annotations) > limits.ANNOTATIONS_MAX:
        raise InvalidValue("annotations", len(annotations), f"at most {limits.ANNOTATIONS_MAX} annotations")
    for key, value in annotations.items():
        limits.check_id("annotations", key, limits.ANNOTATION_KEY_CHARS_MAX)
        limits.check_storable(f"annotations.{key}", value)
    size = sum(len(value.encode()) for value in annotations.values())
    if size > limits.ANNOTATIONS_BYTES_MAX:
        raise InvalidValue("annotations", size, f"at most {limits.ANNOTATIONS_BYTES_MAX} bytes, all values together")


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
