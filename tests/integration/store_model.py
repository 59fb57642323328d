"""A model of a store: what every one of them should do, with no regard to speed, to racing or to failure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqslite.adapters.clock import VirtualClock
from sqslite.domain.leases import Acked, Lease, Receipt, Refusal
from sqslite.domain.lifecycle import State, state_of
from sqslite.domain.limits import VISIBILITY_MS_MAX, ms
from sqslite.domain.messages import NewMessage
from sqslite.domain.retry import Backoff, BackoffKind, DeadLetter, decide

QUEUES = ("orders", "other", "dead")
BACKOFF = Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=1_000, max_ms=60_000, jitter=0.5)

# Ids and secrets may differ from store to store. A message is known by its place in the order of enqueue, a
# delivery by its message and its place among all deliveries of that message, a lease by its delivery and its end.
Handle = tuple[int, int]
Held = tuple[Handle, datetime]


@dataclass
class Known:
    """What the model knows of a message; `current` is the delivery whose receipt is current."""

    queue: str
    content: NewMessage
    enqueued_at: datetime
    not_before: datetime
    dlq: str | None
    lease_until: datetime | None = None
    claimed_at: datetime | None = None
    deliveries_ever: int = 0
    current: int | None = None
    delivery_count: int = 0
    fence: int = 0
    last_error: str | None = None
    origin: tuple[str | None, int | None] = (None, None)


@dataclass
class Model:
    """A dictionary of messages; the methods are the ports', in terms that are the same for all stores."""

    clock: VirtualClock
    messages: dict[int, Known] = field(default_factory=dict)
    enqueued_ever: int = 0

    def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[int]:
        numbers = [self.enqueued_ever + place for place in range(len(messages))]
        self.enqueued_ever += len(messages)
        now = self.clock.now()
        for number, content in zip(numbers, messages, strict=True):
            self.messages[number] = Known(queue, content, now, now + ms(content.delay_ms or 0), content.dlq)
        return numbers

    def claim(self, queue: str, limit: int, visibility_ms: int) -> list[tuple[Handle, int]]:
        ready = [n for n, known in self.messages.items() if known.queue == queue and self.state(known) is State.READY]
        claimed = sorted(ready, key=lambda n: (self.messages[n].not_before, n))[:limit]
        for known in [self.messages[number] for number in claimed]:
            known.current = known.deliveries_ever
            known.deliveries_ever += 1
            known.delivery_count += 1
            known.fence += 1
            known.claimed_at = self.clock.now()
            known.lease_until = known.claimed_at + ms(visibility_ms)
        return [((n, self.messages[n].current), self.messages[n].delivery_count) for n in claimed]

    def ack(self, queue: str, handles: Sequence[Handle]) -> list[Acked | Refusal]:
        outcomes = [self.proven(handle) for handle in handles]
        for (number, _), outcome in zip(handles, outcomes, strict=True):
            if isinstance(outcome, Known):
                self.messages.pop(number, None)
        return [Acked(outcome.claimed_at, 0) if isinstance(outcome, Known) else outcome for outcome in outcomes]

    def ack_unproven(self, numbers: Sequence[int]) -> list[Acked | Refusal]:
        found = {number: self.messages.pop(number) for number in set(numbers) if number in self.messages}
        return [Acked(found[number].claimed_at, 0) if number in found else Refusal.MISSING for number in numbers]

    def extend(self, queue: str, handles: Sequence[Handle], visibility_ms: int) -> list[datetime | Refusal]:
        until = self.clock.now() + ms(visibility_ms)
        return [self.extended(self.proven(handle), until) for handle in handles]

    def hold(self, queue: str, handles: Sequence[Handle]) -> list[Held | Refusal]:
        return [self.held(handle, self.proven(handle)) for handle in handles]

    def look(self, queue: str | None) -> list[Held]:
        leased = {n: known for n, known in self.messages.items() if queue in (None, known.queue) and known.lease_until}
        ends = [((n, known.current), known.lease_until) for n, known in leased.items()]
        return sorted(lease for lease in ends if lease[1] <= self.clock.now())

    def settle(self, queue: str, leases: Sequence[Held], jitter: float, error: str | None) -> list[bool]:
        return [self.settled(self.proven(handle), until, jitter, error) for handle, until in leases]

    def view(self) -> dict[int, tuple]:
        return {
            number: (
                *(known.queue, known.content.body, known.content.body_kind, known.content.max_retries, known.dlq),
                *(known.enqueued_at, known.not_before, known.lease_until, known.delivery_count),
                *(known.last_error, known.origin, known.content.attributes, known.content.group_id, known.fence),
            )
            for number, known in self.messages.items()
        }

    def everything(self) -> list:
        return [self.view(), self.depths(), self.next_due()]

    def depths(self) -> list[tuple[int, ...]]:
        states = [(known.queue, self.state(known)) for known in self.messages.values()]
        kinds = (State.READY, State.DELAYED, State.LEASED)
        return [tuple(states.count((queue, kind)) for kind in kinds) for queue in QUEUES]

    def ready_queues(self) -> list[str]:
        return sorted({known.queue for known in self.messages.values() if self.state(known) is State.READY})

    def next_due(self) -> datetime | None:
        return min((known.lease_until for known in self.messages.values() if known.lease_until), default=None)

    def state(self, known: Known) -> State:
        return state_of(known.not_before, known.lease_until, self.clock.now())

    def proven(self, handle: Handle) -> Known | Refusal:
        known = self.messages.get(handle[0])
        if known is None:
            return Refusal.MISSING
        return known if known.current == handle[1] else Refusal.STALE

    def extended(self, known: Known | Refusal, until: datetime) -> datetime | Refusal:
        if isinstance(known, Refusal):
            return known
        if until > known.claimed_at + ms(VISIBILITY_MS_MAX):
            return Refusal.TOO_LONG
        known.lease_until = until
        return until

    def held(self, handle: Handle, known: Known | Refusal) -> Held | Refusal:
        if isinstance(known, Refusal):
            return known
        return (handle, known.lease_until) if known.lease_until else Refusal.STALE

    def settled(self, known: Known | Refusal, until: datetime, jitter: float, error: str | None) -> bool:
        if isinstance(known, Refusal) or known.lease_until != until:
            return False
        pause = decide(self.lease(known), BACKOFF, jitter, self.clock.now())
        known.lease_until = None
        known.last_error = error or known.last_error
        known.not_before = self.clock.now()
        if isinstance(pause, DeadLetter):
            known.origin = (known.queue, known.delivery_count)
            known.queue, known.dlq, known.delivery_count = pause.queue, None, 0
            known.current = known.claimed_at = None
        else:
            known.not_before += ms(pause.after_ms)
        return True

    def lease(self, known: Known) -> Lease:
        return Lease(
            queue=known.queue,
            receipt=Receipt(0, 0, known.delivery_count, b""),
            lease_until=known.lease_until,
            delivery_count=known.delivery_count,
            max_retries=known.content.max_retries,
            dlq=known.dlq,
        )
