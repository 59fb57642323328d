"""The JSON shapes of the REST calls about queues, and of what they show without receiving it."""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Raw, Struct, UnsetType

from sqslite.domain import limits
from sqslite.domain.explain import Why
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import about
from sqslite.domain.messages import BodyKind
from sqslite.domain.queues import QueueSettings
from sqslite.domain.redrive import RedriveState
from sqslite.wire.shapes import MESSAGE_ID, when


class QueueIn(QueueSettings, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Settings of a queue; a field that is missing has its default."""


class QueueOut(QueueSettings, kw_only=True, frozen=True):
    """A queue and its settings; null means the service's default."""

    name: Annotated[str, about("The queue's name.", "orders")]
    paused: Annotated[bool, about("Whether the queue gives nothing out until it is resumed.", False)] = False
    created_at: Annotated[datetime, when("When it was created.", "2026-01-07T10:00:00Z")]
    changed_at: Annotated[datetime, when("When its settings changed last.", "2026-01-07T10:00:00Z")]
    purged_at: Annotated[datetime | None, when("When it was purged last; null: never.", "2026-01-07T10:00:00Z")] = None


_ORDERS = {"name": "orders", "created_at": "2026-01-07T10:00:00Z", "changed_at": "2026-01-07T10:00:00Z"}


class QueuesOut(Struct, omit_defaults=True):
    """A page of queues, by name."""

    queues: Annotated[list[QueueOut], about("The queues of this page.", [_ORDERS])]
    after: Annotated[str | UnsetType, about("Ask for the next page with this; missing on the last one.", "orders")] = (
        UNSET
    )


class NothingIn(Struct, forbid_unknown_fields=True):
    """There is nothing to say."""


class DoneOut(Struct):
    """It is done."""

    ok: Annotated[bool, about("Always true.", True)] = True


class StatsOut(Struct):
    """How many messages are in which state now, and what has happened to messages of the queue so far."""

    ready: Annotated[int, about("Messages that can be received now.", 12, low=0)]
    delayed: Annotated[int, about("Messages that wait for their time.", 0, low=0)]
    in_flight: Annotated[int, about("Messages that are leased.", 3, low=0)]
    oldest_ready_age_ms: Annotated[
        int | None, about("How long the first in line has been ready; null where none is.", 1_500, low=0)
    ]
    approximate: Annotated[
        bool, about("True where a count above is beyond 10000 and estimated; up to there they are exact.", False)
    ]
    enqueued_total: Annotated[int, about("Messages that were enqueued, duplicates not counted.", 1_000, low=0)]
    received_total: Annotated[int, about("Deliveries.", 990, low=0)]
    acked_total: Annotated[int, about("Messages that were acked.", 985, low=0)]
    dead_lettered_total: Annotated[int, about("Messages that went to their dead-letter queues.", 0, low=0)]


class SeenOut(Struct, omit_defaults=True, kw_only=True):
    """A message as it stands, without a receipt: looking does not lease it."""

    id: Annotated[int, MESSAGE_ID]
    state: Annotated[State, about("Ready, delayed or leased.", "ready")]
    body: Annotated[Raw, about("The JSON value as it was sent, or a string for text and binary.", {"task": "go"})]
    enqueued_at: Annotated[datetime, when("When it was first enqueued.", "2026-01-07T10:00:00Z")]
    not_before: Annotated[datetime, when("From when on it can be received.", "2026-01-07T10:00:00Z")]
    delivery_count: Annotated[int, about("How often it was delivered from this queue.", 0, low=0)]
    fence: Annotated[int, about("How often it was delivered in all.", 0, low=0)]
    max_retries: Annotated[int, about("Deliveries before dead-lettering.", 3, low=1)]
    lease_until: Annotated[
        datetime | UnsetType, when("When the lease ends; only when leased.", "2026-01-07T10:00:30Z")
    ] = UNSET
    first_claimed_at: Annotated[
        datetime | UnsetType,
        when("When it was first delivered, be it by its source; only when it was.", "2026-01-07T10:00:00Z"),
    ] = UNSET
    expires_at: Annotated[
        datetime | UnsetType, when("When its retention ends; missing means never.", "2026-01-11T10:00:00Z")
    ] = UNSET
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


class PeekOut(Struct, omit_defaults=True):
    """A page of messages: the ready ones, then the delayed, then the leased."""

    messages: Annotated[list[SeenOut], about("The messages of this page.", [])]
    after: Annotated[
        str | UnsetType, about("Ask for the next page with this; missing on the last one.", "ready.1767780000000000.7")
    ] = UNSET


class ExplainOut(SeenOut, omit_defaults=True, kw_only=True):
    """A message as it stands, and why it can or cannot be received now."""

    queue: Annotated[str, about("The queue it is in.", "orders")]
    code: Annotated[Why, about("The reason, as a stable word for a program.", "leased")]
    reason: Annotated[str, about("The reason, for a person.", "it is delayed until 2026-01-07T10:00:30.000Z")]
    changes_at: Annotated[
        datetime | None, when("When that changes by itself; null where it does not.", "2026-01-07T10:00:30Z")
    ]
    blocked_by: Annotated[int | UnsetType, about("The message of its group that must go first; only when so.", 122)] = (
        UNSET
    )


class RedriveIn(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Which dead letters to move on, whither and how fast."""

    to: Annotated[
        str | None,
        about(
            "The queue to move all to; missing means each to the queue it came from.",
            "orders",
            pattern=limits.NAME_PATTERN,
        ),
    ] = None
    max_per_second: Annotated[
        int | None,
        about("Messages a second at most; missing means as fast as it goes.", 50, low=1, high=limits.REDRIVE_RATE_MAX),
    ] = None
    limit: Annotated[
        int | None,
        about("Messages at most; missing means all that are ready now.", 1_000, low=1, high=limits.MESSAGE_ID_MAX),
    ] = None


class RedriveOut(Struct, omit_defaults=True, kw_only=True):
    """A redrive task."""

    id: Annotated[int, about("The task's id.", 1, low=1)]
    queue: Annotated[str, about("The queue whose messages are moved.", "failed-queue")]
    state: Annotated[RedriveState, about("Running, completed, cancelled, or failed for want of a target.", "running")]
    moved: Annotated[int, about("Messages moved so far.", 250, low=0)]
    created_at: Annotated[datetime, when("When it was started; what came later stays.", "2026-01-07T10:00:00Z")]
    ended_at: Annotated[datetime | UnsetType, when("When it ended; only when it has.", "2026-01-07T10:01:00Z")] = UNSET
    to: Annotated[str | UnsetType, about("The queue all go to; only when one was named.", "orders")] = UNSET
    max_per_second: Annotated[int | UnsetType, about("Messages a second at most; only when said.", 50)] = UNSET
    limit: Annotated[int | UnsetType, about("Messages at most; only when said.", 1_000)] = UNSET


class RedrivesOut(Struct):
    """The latest tasks of a queue, the newest first."""

    redrives: Annotated[list[RedriveOut], about("Up to 100 tasks.", [])]
