"""A model of a store: what every one of them should do, with no regard to speed, to racing or to failure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice, zip_longest

from sqslite.adapters.clock import VirtualClock
from sqslite.domain.leases import Acked, Lease, Receipt, Refusal
from sqslite.domain.lifecycle import State, state_of
from sqslite.domain.limits import ATTEMPT_MS, DEDUP_MS_DEFAULT, VISIBILITY_MS_MAX, ms
from sqslite.domain.messages import NewMessage
from sqslite.domain.queues import Discipline, QueueSettings
from sqslite.domain.retry import Backoff, BackoffKind, DeadLetter, Drop, RetryPolicy, decide

DEDUP_MS = 2_000
QUEUES = {
    "orders": QueueSettings(),
    "lines": QueueSettings(fifo=True, dedup_ms=DEDUP_MS),
    "flows": QueueSettings(fair=True),
    "dead": QueueSettings(),
}
BACKOFF = Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=1_000, max_ms=60_000, jitter=0.5)
POLICIES = {queue: RetryPolicy(queue=queue, max_retries=2, dlq=None, backoff=BACKOFF) for queue in QUEUES}

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
    expires_at: datetime | None
    dlq: str | None
    lease_until: datetime | None = None
    claimed_at: datetime | None = None
    attempt_id: str | None = None
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
    remembered: dict[tuple[str, str], tuple[int, datetime]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    enqueued_ever: int = 0

    def enqueue(self, queue: str, messages: Sequence[NewMessage]) -> list[tuple[int, bool]]:
        return [self.accepted(queue, content) for content in messages]

    def claim(self, queue: str, limit: int, visibility_ms: int, attempt_id: str | None) -> list[tuple[Handle, int]]:
        if queue in self.paused:
            return []
        claimed = self.attempted(queue, attempt_id)
        if not claimed:
            rounds = chain.from_iterable(zip_longest(*self.lines(queue).values()))
            claimed = list(islice((number for number in rounds if number is not None), limit))
            for number in claimed:
                self.leased(self.messages[number], visibility_ms, attempt_id)
        claimed.sort(key=self.place(queue))
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

    def settle(self, queue: str, leases: Sequence[Held], jitter: float, error: str | None, dead_ms: int) -> list[bool]:
        return [self.settled(handle[0], self.proven(handle), until, jitter, error, dead_ms) for handle, until in leases]

    def expire(self) -> int:
        over = [n for n, known in self.messages.items() if known.lease_until is None and not self.kept(known)]
        for number in over:
            del self.messages[number]
        return len(over)

    def pause(self, queue: str, paused: bool) -> None:
        (self.paused.add if paused else self.paused.discard)(queue)

    def renew(self, queue: str) -> None:
        self.messages = {number: known for number, known in self.messages.items() if known.queue != queue}
        self.remembered = {key: earlier for key, earlier in self.remembered.items() if key[0] != queue}

    def redrive(self, limit: int, kept_ms: int) -> tuple[list[int], int]:
        """The next dead letters, and how many of them went back to where they came from."""
        dead = [n for n, known in self.messages.items() if known.queue == "dead" and self.deliverable(known)]
        candidates = sorted(dead, key=self.place("dead"))[:limit]
        moved = [known for known in map(self.messages.__getitem__, candidates) if known.origin[0]]
        for known in moved:
            source, _ = known.origin
            known.origin = (None, None)
            self.moved(known, source, "dead", expires_at=self.end(self.clock.now(), kept_ms))
        return candidates, len(moved)

    def sight(self, number: int) -> tuple[str, int | None] | None:
        """Where the message is, and what it waits for in its group."""
        known = self.messages.get(number)
        if known is None:
            return None
        waits = known.lease_until is None and self.discipline(known.queue) is Discipline.FIFO
        others = [n for n in self.group_of(known) if n != number] if waits else []
        before = [n for n in others if n < number and self.deliverable(self.messages[n])]
        return known.queue, next(chain(filter(self.blocks, others), before), None)

    # What there is to see

    def view(self) -> dict[int, tuple]:
        return {
            number: (
                *(known.queue, known.content.body, known.content.body_kind, known.content.max_retries, known.dlq),
                *(known.enqueued_at, known.not_before, known.lease_until, known.expires_at, known.delivery_count),
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

    def next_due(self) -> datetime | None:
        return min((known.lease_until for known in self.messages.values() if known.lease_until), default=None)

    def busy_queues(self) -> list[str]:
        """The queues that have something to give, or a group that must not."""
        there = {known.queue for known in self.messages.values()}
        return [queue for queue in QUEUES if queue in there and (self.lines(queue) or QUEUES[queue].fifo)]

    def limits(self, queue: str) -> list[int]:
        """For how many messages a claim may ask so that it is clear which ones it gets.

        Nothing is said here of which group is served first: where several have something to give, they give all of it.
        """
        lines = self.lines(queue).values()
        if len(lines) > 1:
            return [sum(map(len, lines))]
        return list(range(1, 7))

    # How it comes to that

    def accepted(self, queue: str, content: NewMessage) -> tuple[int, bool]:
        now = self.clock.now()
        if content.dedup_id is not None:
            number, until = self.remembered.get((queue, content.dedup_id), (0, now))
            if until > now:
                return number, True
            remembered_ms = QUEUES[queue].dedup_ms or DEDUP_MS_DEFAULT
            self.remembered[queue, content.dedup_id] = self.enqueued_ever, now + ms(remembered_ms)
        number = self.enqueued_ever
        self.enqueued_ever += 1
        due_at, expires_at = now + ms(content.delay_ms), self.end(now, content.retention_ms)
        self.messages[number] = Known(queue, content, now, due_at, expires_at, content.dlq)
        return number, False

    def attempted(self, queue: str, attempt_id: str | None) -> list[int]:
        """What an earlier claim of the attempt has leased still."""
        since = self.clock.now() - ms(ATTEMPT_MS)
        leased = {n: known for n, known in self.messages.items() if known.queue == queue and known.lease_until}
        return [
            n
            for n, known in leased.items()
            if attempt_id and known.attempt_id == attempt_id and known.claimed_at > since
        ]

    def leased(self, known: Known, visibility_ms: int, attempt_id: str | None) -> None:
        known.current = known.deliveries_ever
        known.deliveries_ever += 1
        known.delivery_count += 1
        known.fence += 1
        known.attempt_id = attempt_id
        known.claimed_at = self.clock.now()
        known.lease_until = known.claimed_at + ms(visibility_ms)

    def lines(self, queue: str) -> dict[str, list[int]]:
        """What can be claimed of each group, in order; all in one line where the queue knows no groups."""
        lines: dict[str, list[int]] = {}
        for number, known in self.messages.items():
            if known.queue == queue and self.deliverable(known) and not self.blocked(known):
                name = "" if self.discipline(queue) is Discipline.STANDARD else known.content.group_id or ""
                lines.setdefault(name, []).append(number)
        for line in lines.values():
            line.sort(key=self.place(queue))
        return lines

    def blocked(self, known: Known) -> bool:
        return self.discipline(known.queue) is Discipline.FIFO and any(map(self.blocks, self.group_of(known)))

    def blocks(self, number: int) -> bool:
        """Whether its group waits for it: it is leased, or comes again later while it is kept."""
        known = self.messages[number]
        if known.lease_until is not None:
            return True
        return known.delivery_count > 0 and self.state(known) is State.DELAYED and self.kept(known)

    def group_of(self, known: Known) -> list[int]:
        group = known.queue, known.content.group_id
        return [n for n, one in sorted(self.messages.items()) if (one.queue, one.content.group_id) == group]

    def deliverable(self, known: Known) -> bool:
        return self.state(known) is State.READY and self.kept(known)

    def kept(self, known: Known) -> bool:
        return known.expires_at is None or known.expires_at > self.clock.now()

    def state(self, known: Known) -> State:
        return state_of(known.not_before, known.lease_until, self.clock.now())

    def place(self, queue: str):
        by_id = self.discipline(queue) is Discipline.FIFO
        return lambda number: number if by_id else (self.messages[number].not_before, number)

    def discipline(self, queue: str) -> Discipline:
        return QUEUES[queue].discipline

    def end(self, start: datetime, kept_ms: int) -> datetime | None:
        return start + ms(kept_ms) if kept_ms else None

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

    def settled(
        self, number: int, known: Known | Refusal, until: datetime, jitter: float, error: str | None, dead_ms: int
    ) -> bool:
        if isinstance(known, Refusal) or known.lease_until != until:
            return False
        match decide(self.lease(known), POLICIES[known.queue], jitter, self.clock.now()):
            case Drop():
                del self.messages[number]
                return True
            case DeadLetter(dlq):
                known.origin = (known.queue, known.delivery_count)
                self.moved(
                    known, dlq, dlq, self.end(self.clock.now() if QUEUES[dlq].fifo else known.enqueued_at, dead_ms)
                )
            case requeue:
                known.lease_until = None
                known.not_before = self.clock.now() + ms(requeue.after_ms)
        known.last_error = error or known.last_error
        return True

    def moved(self, known: Known, queue: str, dlq: str | None, expires_at: datetime | None) -> None:
        known.queue, known.dlq, known.expires_at, known.delivery_count = queue, dlq, expires_at, 0
        known.not_before = self.clock.now()
        known.current = known.lease_until = known.claimed_at = known.attempt_id = None

    def lease(self, known: Known) -> Lease:
        return Lease(
            queue=known.queue,
            receipt=Receipt(0, 0, known.delivery_count, b""),
            lease_until=known.lease_until,
            delivery_count=known.delivery_count,
            max_retries=known.content.max_retries,
            dlq=known.dlq,
            expires_at=known.expires_at,
        )
