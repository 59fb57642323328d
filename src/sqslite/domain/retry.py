"""What becomes of a lease that ended without an ack: the one retry policy."""

import enum
import math
from datetime import datetime
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from sqslite.domain.leases import Lease
from sqslite.domain.limits import BACKOFF_FACTOR_MAX, DAY_MS, DELAY_MS_MAX, about
from sqslite.domain.messages import Message


class BackoffKind(enum.StrEnum):
    """How the pause before a redelivery grows with the number of deliveries so far."""

    NONE = "none"
    FIXED = "fixed"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class Backoff(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a message waits before its next delivery.

    `jitter` is the share of the pause that is random, 0 (none of it) to 1 (all of it).
    The default is the reference's: back at once.
    """

    kind: Annotated[BackoffKind, about("How the pause grows with the deliveries.", "exponential")] = BackoffKind.NONE
    base_ms: Annotated[int, about("The first pause.", 1_000, low=0, high=DELAY_MS_MAX)] = 1_000
    factor: Annotated[
        float, about("What exponential backoff multiplies with.", 2.0, low=1, high=BACKOFF_FACTOR_MAX)
    ] = 2.0
    max_ms: Annotated[int, about("The longest pause.", 3_600_000, low=0, high=DELAY_MS_MAX)] = DAY_MS
    jitter: Annotated[float, about("The share of the pause that is random.", 0.2, low=0, high=1)] = 0.0


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """What a queue decides about its leases that end unacked, as far as a message does not say.

    `dlq` None: no dead-letter queue.
    """

    queue: str
    max_retries: int
    dlq: str | None
    backoff: Backoff

    def max_retries_of(self, own: int) -> int:
        """The deliveries before dead-lettering of a message that said `own`; 0 means that it did not say."""
        return own or self.max_retries

    def dlq_of(self, own: str | None) -> str | None:
        """The dead-letter queue of a message that named `own`.

        The queue's where it named none, or lies in the one it named already.
        """
        return self.dlq if own is None or own == self.queue else own

    def completed(self, message: Message) -> Message:
        """The message with what it leaves to its queue."""
        if message.max_retries and message.dlq is not None and message.dlq != self.queue:
            return message
        dlq = self.dlq if message.dlq is None else self.dlq_of(message.dlq)
        return replace(message, max_retries=message.max_retries or self.max_retries, dlq=dlq)


class Requeue(Struct, frozen=True):
    """Deliver again, `after_ms` milliseconds from now."""

    after_ms: int


class DeadLetter(Struct, frozen=True):
    """Move to the named dead-letter queue."""

    queue: str


class Drop(Struct, frozen=True):
    """Delete: its retention is over."""


def decide(
    lease: Lease, policy: RetryPolicy, jitter: float, now: datetime, rejected: bool = False
) -> Requeue | DeadLetter | Drop:
    """Requeue, dead-letter or drop a lease that ended unacked by `now`; `jitter` is a random number in 0..1.

    A message is dead-lettered when its deliveries are used up, or its holder `rejected` it, and it or its queue names a
    DLQ; without a DLQ it is redelivered until its retention is over.
    """
    if lease.expires_at is not None and lease.expires_at <= now:
        return Drop()
    dlq = policy.dlq_of(lease.dlq)
    if dlq is not None and (rejected or lease.delivery_count >= policy.max_retries_of(lease.max_retries)):
        return DeadLetter(dlq)
    return Requeue(pause_ms(policy.backoff, lease.delivery_count, jitter))


def pause_ms(backoff: Backoff, delivery_count: int, jitter: float) -> int:
    """The pause after the delivery_count-th delivery, 0..max_ms milliseconds; `jitter` is in 0..1."""
    try:
        grown_ms = _grown_ms(backoff, max(1, delivery_count)) if backoff.base_ms else 0.0
    except OverflowError:
        grown_ms = math.inf
    full_ms = min(float(backoff.max_ms), grown_ms)
    return int(full_ms * (1.0 - backoff.jitter * jitter))


def _grown_ms(backoff: Backoff, delivery_count: int) -> float:
    match backoff.kind:
        case BackoffKind.NONE:
            return 0.0
        case BackoffKind.FIXED:
            return float(backoff.base_ms)
        case BackoffKind.LINEAR:
            return float(backoff.base_ms) * delivery_count
        case BackoffKind.EXPONENTIAL:
            return backoff.base_ms * backoff.factor ** (delivery_count - 1)
