"""Why a message is or is not delivered now, in words and as a code."""

import enum
from datetime import datetime

from msgspec import Struct

from sqslite.domain.lifecycle import State, state_of
from sqslite.domain.messages import Message
from sqslite.domain.ports import Blocker, Sighting
from sqslite.domain.queues import Discipline


class Why(enum.StrEnum):
    """The one reason that stands before all others."""

    RETENTION_OVER = "retention_over"
    LEASED = "leased"
    LEASE_ENDED = "lease_ended"
    DELAYED = "delayed"
    WAITING_FOR_RETRY = "waiting_for_retry"
    QUEUE_PAUSED = "queue_paused"
    BEHIND_IN_GROUP = "behind_in_group"
    READY = "ready"


class Explanation(Struct, frozen=True, kw_only=True):
    """How a message stands; `changes_at` is when that changes by itself, None where it does not.

    `blocked_by` is the message of its group that must go first, None where none is.
    """

    queue: str
    message: Message
    blocked_by: int | None
    state: State
    code: Why
    reason: str
    changes_at: datetime | None


def explain(seen: Sighting) -> Explanation:
    """How the message stands and why."""
    message = seen.message
    state = state_of(message.not_before, message.lease_until, seen.now)
    code, reason, changes_at = _why(seen, state)
    return Explanation(
        queue=seen.queue.name,
        message=message,
        blocked_by=seen.blocked_by.id if seen.blocked_by else None,
        state=state,
        code=code,
        reason=reason,
        changes_at=changes_at,
    )


def _why(seen: Sighting, state: State) -> tuple[Why, str, datetime | None]:
    message, queue = seen.message, seen.queue
    if state is State.LEASED:
        return _why_leased(seen)
    if message.expires_at is not None and message.expires_at <= seen.now:
        reason = f"its retention ended at {_instant(message.expires_at)}: it is not delivered, and deleted soon"
        return Why.RETENTION_OVER, reason, None
    if state is State.DELAYED and message.delivery_count:
        reason = f"delivery {message.delivery_count} failed; the next one is possible at {_instant(message.not_before)}"
        return Why.WAITING_FOR_RETRY, reason + _unless_over(message), _next_change(message)
    if state is State.DELAYED:
        reason = f"it is delayed until {_instant(message.not_before)}"
        return Why.DELAYED, reason + _unless_over(message), _next_change(message)
    if queue.paused:
        return Why.QUEUE_PAUSED, f"queue {queue.name} is paused until somebody resumes it", None
    if queue.settings.discipline is Discipline.FIFO and seen.blocked_by is not None:
        reason = f"in group {message.group_id or ''!r} it comes behind message {seen.blocked_by.id}"
        return Why.BEHIND_IN_GROUP, reason, _unblocked_at(message, seen.blocked_by, seen.now)
    return Why.READY, "it can be received now", message.expires_at


def _why_leased(seen: Sighting) -> tuple[Why, str, datetime | None]:
    until = seen.message.lease_until
    assert until is not None
    if until <= seen.now:
        return Why.LEASE_ENDED, f"its lease ended at {_instant(until)} and is settled within a second", None
    return Why.LEASED, f"a receiver holds it until {_instant(until)}, unless it acks or gives it up before", until


def _unblocked_at(message: Message, blocker: Blocker, now: datetime) -> datetime | None:
    """When the blocker stands otherwise by itself, or the retention of the message that waits ends before that."""
    if blocker.lease_until is not None:
        # One that ended is about to be settled; no retention ends a lease.
        return _first(blocker.lease_until, message.expires_at) if blocker.lease_until > now else None
    retry_at = blocker.not_before if blocker.not_before > now else None
    return _first(retry_at, blocker.expires_at, message.expires_at)


def _next_change(message: Message) -> datetime | None:
    """When it becomes ready, or its retention ends before that."""
    return _first(message.not_before, message.expires_at)


def _unless_over(message: Message) -> str:
    if message.expires_at is None or message.not_before < message.expires_at:
        return ""
    return f", but its retention ends at {_instant(message.expires_at)}, so it is never delivered"


def _first(*instants: datetime | None) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)


def _instant(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
