"""The life of a message: one table of states and transitions, from which the docs' diagram is drawn.

Every store is held to this table by the conformance suite, row by row.
"""

import enum
from datetime import datetime

from msgspec import Struct


class State(enum.StrEnum):
    """Where a message is. NONE is before its enqueue, GONE after its last transition."""

    NONE = "none"
    READY = "ready"
    DELAYED = "delayed"
    LEASED = "leased"
    GONE = "gone"


class Event(enum.StrEnum):
    """What happens to a message."""

    ENQUEUE = "enqueue"
    COME_DUE = "not_before has come"
    CLAIM = "claim"
    ACK = "ack"
    EXTEND = "extend"
    NACK = "nack"
    EXPIRE = "lease expires"
    OUTLIVE = "retention over"


class When(enum.StrEnum):
    """The condition that picks among several rows of one state and event."""

    ALWAYS = ""
    NO_DELAY = "no delay"
    DELAY = "delay > 0"
    RETRY_NOW = "retry, backoff 0"
    RETRY_LATER = "retry, backoff > 0"
    USED_UP = "deliveries used up, a DLQ named"
    REJECTED = "dead-lettering asked for, a DLQ named"
    RECEIPT_CURRENT = "receipt still current"
    RETENTION_OVER = "retention over"


class Transition(Struct, frozen=True):
    """One row: in `state`, on `event`, under `when`, the message goes to `target`.

    `to_dlq` says that the target state is in the dead-letter queue.
    """

    state: State
    event: Event
    when: When
    target: State
    to_dlq: bool = False


TRANSITIONS: tuple[Transition, ...] = (
    Transition(State.NONE, Event.ENQUEUE, When.NO_DELAY, State.READY),
    Transition(State.NONE, Event.ENQUEUE, When.DELAY, State.DELAYED),
    Transition(State.DELAYED, Event.COME_DUE, When.ALWAYS, State.READY),
    Transition(State.READY, Event.CLAIM, When.ALWAYS, State.LEASED),
    Transition(State.LEASED, Event.ACK, When.RECEIPT_CURRENT, State.GONE),
    Transition(State.LEASED, Event.EXTEND, When.RECEIPT_CURRENT, State.LEASED),
    Transition(State.LEASED, Event.NACK, When.RETRY_NOW, State.READY),
    Transition(State.LEASED, Event.NACK, When.RETRY_LATER, State.DELAYED),
    Transition(State.LEASED, Event.NACK, When.USED_UP, State.READY, to_dlq=True),
    Transition(State.LEASED, Event.NACK, When.REJECTED, State.READY, to_dlq=True),
    Transition(State.LEASED, Event.EXPIRE, When.RETRY_NOW, State.READY),
    Transition(State.LEASED, Event.EXPIRE, When.RETRY_LATER, State.DELAYED),
    Transition(State.LEASED, Event.EXPIRE, When.USED_UP, State.READY, to_dlq=True),
    # The lease was settled but nobody has claimed the message since: the work may be done, or still going on.
    Transition(State.READY, Event.ACK, When.RECEIPT_CURRENT, State.GONE),
    Transition(State.DELAYED, Event.ACK, When.RECEIPT_CURRENT, State.GONE),
    Transition(State.READY, Event.EXTEND, When.RECEIPT_CURRENT, State.LEASED),
    Transition(State.DELAYED, Event.EXTEND, When.RECEIPT_CURRENT, State.LEASED),
    Transition(State.READY, Event.OUTLIVE, When.ALWAYS, State.GONE),
    Transition(State.DELAYED, Event.OUTLIVE, When.ALWAYS, State.GONE),
    # Who works on a message may end the work, however old it has become: a lease is left alone until it is settled.
    Transition(State.LEASED, Event.NACK, When.RETENTION_OVER, State.GONE),
    Transition(State.LEASED, Event.EXPIRE, When.RETENTION_OVER, State.GONE),
)


def state_of(not_before: datetime, lease_until: datetime | None, now: datetime) -> State:
    """The state of a stored message at `now`; a lease that ran out is LEASED until it is settled."""
    if lease_until is not None:
        return State.LEASED
    return State.READY if not_before <= now else State.DELAYED


def diagram() -> str:
    """The table as a Mermaid state diagram, as docs/architecture.md shows it."""
    ends = {State.NONE: "[*]", State.GONE: "[*]"}
    names = {state: ends.get(state, state.name) for state in State}
    lines = ["stateDiagram-v2"]
    for row in TRANSITIONS:
        target = f"{row.target.name}_IN_DLQ" if row.to_dlq else names[row.target]
        condition = f" [{row.when}]" if row.when else ""
        lines.append(f"    {names[row.state]} --> {target}: {row.event}{condition}")
    return "\n".join(lines)
