"""The use cases of the queue, the same for every transport."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

from msgspec import Struct

from sqslite.domain import attempts, limits
from sqslite.domain.accepting import check_for_queue, check_message, resolved
from sqslite.domain.asker import Asker
from sqslite.domain.directory import QueueDirectory
from sqslite.domain.errors import (
    InvalidValue,
    MessageNotFound,
    QueueNotFound,
    SqsliteError,
    StaleReceipt,
    StoreUnavailable,
)
from sqslite.domain.fairness import Fairness
from sqslite.domain.in_flight import InFlight
from sqslite.domain.leases import Acked, Lease, Nack, Receipt, Refusal, Wish
from sqslite.domain.messages import Accepted, Delivery, NewMessage, Received
from sqslite.domain.partitions import per_partition
from sqslite.domain.ports import Claim, Clock, Entropy, Expired, Extension, Observer, PartitionDropped, Store, Wakeups
from sqslite.domain.queues import Defaults, Discipline, Queue
from sqslite.domain.retry import RetryPolicy
from sqslite.domain.sweep import Sweep
from sqslite.domain.tally import Tally

# A queue can be purged or deleted between the look at it and the enqueue; no queue is that often in a row.
DROPS_MAX = 5
_MILLISECOND = limits.ms(1)
_partition_of_receipt: Callable[[Receipt], int] = attrgetter("partition_id")
_partition_of_its_receipt: Callable[[Nack | Extension], int] = attrgetter("receipt.partition_id")


class Asked(Struct, frozen=True, kw_only=True):
    """What a receiver asked for; `visibility_ms` 0 means the queue's own setting."""

    limit: int
    visibility_ms: int
    attempt_id: str | None
    whole_groups: bool


class QueueService:
    """What a queue does for its users: it holds every rule that no single store call can know."""

    def __init__(
        self,
        store: Store,
        directory: QueueDirectory,
        sweep: Sweep,
        clock: Clock,
        entropy: Entropy,
        observer: Observer,
        wakeups: Wakeups,
        tally: Tally,
        in_flight: InFlight,
        defaults: Defaults,
    ) -> None:
        self._store = store
        self._directory = directory
        self._sweep = sweep
        self._clock = clock
        self._entropy = entropy
        self._observer = observer
        self._wakeups = wakeups
        self._tally = tally
        self._in_flight = in_flight
        self._defaults = defaults
        self._fairness = Fairness()

    async def enqueue(
        self, queue: str, messages: Sequence[NewMessage], *, create: bool = True, measured: bool = False
    ) -> list[Accepted | SqsliteError]:
        """Enqueue messages; each gets its id or the reason why it was refused, in order.

        A queue comes into being with its first message, unless `create` is false. A message whose dedup_id was accepted
        before is answered with the id of that one. `measured`: the caller has held the sizes to the queue's limit by
        its own measure, which may count other bytes than are stored. Raises InvalidValue for a bad queue name, and
        QueueNotFound.
        """
        limits.check_queue_name("queue", queue)
        faults = [_fault(check_message, queue, message, self._defaults, measured) for message in messages]
        if all(faults):
            return [fault for fault in faults if fault]
        for _ in range(DROPS_MAX):
            target = await (self._directory.ensure(queue) if create else self._directory.find(queue))
            if target is None:
                raise QueueNotFound(queue)
            try:
                return await self._enqueue_to(target, messages, faults, measured)
            except PartitionDropped:
                self._directory.forget(queue)
        raise StoreUnavailable(f"queue {queue} is being purged or deleted again and again")

    async def claim(
        self,
        queue: str,
        limit: int | None = None,
        visibility_ms: int | None = None,
        wait_ms: int | None = None,
        asker: Asker | None = None,
        attempt_id: str | None = None,
        whole_groups: bool = False,
    ) -> list[Delivery]:
        """Lease up to `limit` messages in the queue's order, by default oldest first; an unknown queue has none.

        `limit` None means the service's default, `visibility_ms` None or 0 the queue's, `wait_ms` None the
        queue's. With a wait, an answer comes as soon as there is a message, and an empty one when it is over;
        an `asker` who leaves ends the wait, and nothing is leased for him from then on.
        A receive that is tried again with the attempt_id of one that leased messages within ATTEMPT_MS gets those
        again, with their receipts, as long as their leases stand, and holds them for `visibility_ms` from now (SQS).
        `whole_groups` says of a FIFO queue that of each
        group as many as there are shall be taken before any of the next (SQS), rather than one of each in turn.
        A claim that comes back short settles what has ended in its own queue and looks again, so that nobody
        waits for a sweep. The messages say what their queue decides for them. Raises InFlightLimit where as many are
        leased as a queue without order allows.
        """
        limits.check_queue_name("queue", queue)
        limit = limits.check_range("max", self._defaults.claim_max if limit is None else limit, 1, limits.CLAIM_MAX)
        if visibility_ms is not None:
            limits.check_range("visibility_ms", visibility_ms, 0, limits.VISIBILITY_MS_MAX)
        if wait_ms is not None:
            limits.check_range("wait_ms", wait_ms, 0, limits.WAIT_MS_MAX)
        if attempt_id is not None:
            limits.check_id("attempt_id", attempt_id, limits.ATTEMPT_ID_CHARS_MAX)
        asked = Asked(limit=limit, visibility_ms=visibility_ms or 0, attempt_id=attempt_id, whole_groups=whole_groups)
        asked_at = self._clock.now()
        source = await self._directory.find(queue)
        if wait_ms is None:
            wait_ms = (source.settings.receive_wait_ms if source else None) or 0
        if not wait_ms:
            return await self._claim_at_once(source, asked)
        return await self._claim_waiting(queue, asked, asked_at + limits.ms(wait_ms), asker or Asker())

    async def ack(self, receipts: Sequence[Receipt]) -> list[SqsliteError | None]:
        """Delete messages whose work is done; None, or why that one was not, in order."""
        outcomes = await per_partition(receipts, _partition_of_receipt, self._store.ack)
        return self._acked([receipt.message_id for receipt in receipts], outcomes)

    async def ack_unproven(self, message_ids: Sequence[int]) -> list[SqsliteError | None]:
        """Delete messages by bare id, whoever holds them, as the reference does; None, or why not, in order."""
        outcomes: Sequence[Acked | Refusal | SqsliteError]
        try:
            outcomes = await self._store.ack_unproven(message_ids)
        except SqsliteError as error:
            # The answer to these ids only: the caller may have had others acked for good beside them.
            outcomes = [error] * len(message_ids)
        return self._acked(message_ids, outcomes)

    async def extend(self, extensions: Sequence[Extension]) -> list[datetime | SqsliteError]:
        """Hold messages for `visibility_ms` from now; the new end of each lease, or why not, in order.

        A visibility of 0 releases the message. A lease lasts 12 hours from its claim at most.
        """
        faults = [_fault(_check_extension, extension) for extension in extensions]
        sound = [extension for extension, fault in zip(extensions, faults, strict=True) if fault is None]
        longer = [extension for extension in sound if extension.visibility_ms]
        extended = iter(await per_partition(longer, _partition_of_its_receipt, self._store.extend))
        releases = [Nack(e.receipt, Wish(delay_ms=0)) for e in sound if not e.visibility_ms]
        released = iter(await self.nack(releases))
        now = self._clock.now()
        return [
            fault or (_extended(extension, next(extended)) if extension.visibility_ms else next(released) or now)
            for extension, fault in zip(extensions, faults, strict=True)
        ]

    async def nack(self, nacks: Sequence[Nack]) -> list[SqsliteError | None]:
        """Give leases up: retry policy and wish decide what becomes of each message; None, or why not, in order.

        A wish to dead-letter a message without a DLQ is refused with InvalidValue, and its lease stands.
        """
        faults = [_fault(_check_wish, nack.wish) for nack in nacks]
        sound = [nack for nack, fault in zip(nacks, faults, strict=True) if fault is None]

        async def settle(partition_id: int, part: Sequence[Nack]) -> list[SqsliteError | None]:
            held = await self._store.held(partition_id, [nack.receipt for nack in part])
            outcomes = [await self._endable(nack, lease) for nack, lease in zip(part, held.leases, strict=True)]
            leases = [outcome for outcome in outcomes if isinstance(outcome, Lease)]
            # A superseded receipt has no say in what becomes of the message; of several wishes the first counts.
            wishes: dict[int, Wish] = {}
            for nack, outcome in zip(part, outcomes, strict=True):
                if isinstance(outcome, Lease):
                    wishes.setdefault(nack.receipt.message_id, nack.wish)
            settled = await self._sweep.settle(Expired(held.now, leases), wishes)
            return [
                outcome
                if isinstance(outcome, SqsliteError)
                else None
                if nack.receipt.message_id in settled
                else StaleReceipt(nack.receipt.message_id)
                for nack, outcome in zip(part, outcomes, strict=True)
            ]

        settled = iter(await per_partition(sound, _partition_of_its_receipt, settle))
        return [fault or next(settled) for fault in faults]

    async def standing(self, receipts: Sequence[Receipt]) -> list[SqsliteError | None]:
        """Whether each lease still stands; None, or why not, in order: StaleReceipt once it has ended.

        A message whose lease has ended may be acked all the same, where its receipt is the latest.
        """

        async def look(partition_id: int, part: Sequence[Receipt]) -> list[SqsliteError | None]:
            held = await self._store.held(partition_id, part)
            return [
                _refused(receipt.message_id, lease)
                if isinstance(lease, Refusal)
                else StaleReceipt(receipt.message_id)
                if lease.lease_until <= held.now
                else None
                for receipt, lease in zip(part, held.leases, strict=True)
            ]

        return await per_partition(receipts, _partition_of_receipt, look)

    async def release(self, deliveries: Sequence[Received]) -> None:
        """Give deliveries back that reached nobody, so that others need not wait for their leases to end."""
        await self.nack([Nack(delivery.receipt, Wish(delay_ms=0)) for delivery in deliveries])

    async def _enqueue_to(
        self, target: Queue, messages: Sequence[NewMessage], faults: Sequence[SqsliteError | None], measured: bool
    ) -> list[Accepted | SqsliteError]:
        refusals = [
            fault or _fault(check_for_queue, target, message, measured)
            for fault, message in zip(faults, messages, strict=True)
        ]
        sound = [
            resolved(target, message, self._defaults)
            for message, refusal in zip(messages, refusals, strict=True)
            if refusal is None
        ]
        accepted = await self._store.enqueue(target, sound) if sound else []
        kept = [message for message, outcome in zip(sound, accepted, strict=True) if not outcome.duplicate]
        if kept:
            self._observer.enqueued(target.name, len(kept))
            self._tally.add(target.partition_id, enqueued=len(kept))
            self._wakeups.notify(target.name, [message.delay_ms for message in kept].count(0))
        outcomes = iter(accepted)
        return [refusal or next(outcomes) for refusal in refusals]

    async def _claim_waiting(self, queue: str, asked: Asked, until: datetime, asker: Asker) -> list[Delivery]:
        with self._wakeups.watching(queue) as watch:
            asker.when_gone(watch.wake)
            while True:
                deliveries = await self._claim_at_once(await self._directory.find(queue), asked)
                if len(deliveries) == asked.limit:
                    # There may be more than this one takes, and its wake-up may have stood for all of it.
                    watch.pass_on()
                if deliveries or watch.over or self._clock.now() >= until:
                    return deliveries
                await watch.wait(until)
                if not asker.there:
                    # The wake-up was meant for somebody who can use it.
                    watch.pass_on()
                    return []

    async def _claim_at_once(self, source: Queue | None, asked: Asked) -> list[Delivery]:
        if source is None:
            return []
        deliveries = await self._claim_from(source, asked, asked.limit)
        # To claim twice for one attempt would be to ask for the first deliveries again.
        if len(deliveries) < asked.limit and not (deliveries and asked.attempt_id):
            try:
                if await self._sweep.settle_due(source.partition_id):
                    deliveries += await self._claim_from(source, asked, asked.limit - len(deliveries))
            except SqsliteError:
                # What is leased already belongs in its receiver's hands: dropping it would cost it a delivery.
                if not deliveries:
                    raise
        return deliveries

    async def _claim_from(self, queue: Queue, asked: Asked, limit: int) -> list[Delivery]:
        if queue.settings.in_flight_max is None:
            return await self._lease_from(queue, asked, limit)
        return await self._in_flight.within(queue, limit, lambda room: self._lease_from(queue, asked, room))

    async def _lease_from(self, queue: Queue, asked: Asked, limit: int) -> list[Delivery]:
        claim = Claim(
            limit=limit,
            visibility_ms=asked.visibility_ms or queue.settings.visibility_ms or self._defaults.visibility_ms,
            secrets=self._entropy.secrets(limit),
            attempt_id=asked.attempt_id,
            whole_groups=asked.whole_groups,
        )
        deliveries = await self._store.claim(self._fairness.claimed_as(queue) if queue.settings.fair else queue, claim)
        repeated = attempts.repeated(claim, deliveries)
        leased = len(deliveries) - len(repeated)
        if leased:
            self._observer.claimed(queue.name, leased)
            self._tally.add(queue.partition_id, received=leased)
        if repeated:
            deliveries = await attempts.held_anew(self._store, queue, claim, repeated)
        policy = self._policy(queue)
        return [Delivery(policy.completed(delivery.message), delivery.receipt) for delivery in deliveries]

    async def _endable(self, nack: Nack, held: Lease | Refusal) -> Lease | SqsliteError:
        """The lease, where it can end as its holder wishes."""
        if isinstance(held, Refusal):
            return _refused(nack.receipt.message_id, held)
        if nack.wish.dead_letter:
            queue = await self._directory.find(held.queue)
            if queue is None or self._policy(queue).dlq_of(held.dlq) is None:
                # To requeue it would have it delivered again and again to a holder that said it makes no sense.
                return InvalidValue("dead_letter", True, "false for a message without a dlq")
        return held

    def _policy(self, queue: Queue) -> RetryPolicy:
        return self._defaults.retry_policy(queue.name, queue.settings)

    def _acked(
        self, message_ids: Sequence[int], outcomes: Sequence[Acked | Refusal | SqsliteError]
    ) -> list[SqsliteError | None]:
        now = self._clock.now()
        pairs = list(zip(message_ids, outcomes, strict=True))
        # By id: who acks a message twice in one call is answered twice, and it is counted once.
        acked = {message_id: outcome for message_id, outcome in pairs if isinstance(outcome, Acked)}
        partitions = [gone.partition_id for gone in acked.values()]
        for partition_id in set(partitions):
            self._gone(partition_id, partitions.count(partition_id))
        ages = [now - gone.claimed_at if gone.claimed_at else -_MILLISECOND for gone in acked.values()]
        self._observer.acked([age / _MILLISECOND for age in ages])
        return [None if isinstance(outcome, Acked) else _refused(message_id, outcome) for message_id, outcome in pairs]

    def _gone(self, partition_id: int, count: int) -> None:
        self._tally.add(partition_id, acked=count)
        self._in_flight.ended(partition_id, count)
        queue = self._directory.at(partition_id)
        if queue is not None and queue.settings.discipline is Discipline.FIFO:
            # What came behind them in their groups may be claimable now.
            self._wakeups.notify(queue.name, count)


def _fault(check: Callable[..., object], *arguments: object) -> SqsliteError | None:
    """What the check has to say against its arguments, so that one bad entry fails alone."""
    try:
        check(*arguments)
    except SqsliteError as fault:
        return fault
    return None


def _check_extension(extension: Extension) -> None:
    limits.check_range("visibility_ms", extension.visibility_ms, 0, limits.VISIBILITY_MS_MAX)


def _check_wish(wish: Wish) -> None:
    if wish.delay_ms is not None:
        limits.check_range("delay_ms", wish.delay_ms, 0, limits.DELAY_MS_MAX)
    if wish.error is not None:
        limits.check_error(wish.error)


def _extended(extension: Extension, outcome: datetime | Refusal | SqsliteError) -> datetime | SqsliteError:
    if outcome is Refusal.TOO_LONG:
        allowed = f"so short that the lease ends within {limits.VISIBILITY_MS_MAX} ms of its claim"
        return InvalidValue("visibility_ms", extension.visibility_ms, allowed)
    return outcome if isinstance(outcome, datetime) else _refused(extension.receipt.message_id, outcome)


def _refused(message_id: int, refusal: Refusal | SqsliteError) -> SqsliteError:
    if isinstance(refusal, SqsliteError):
        return refusal
    return MessageNotFound(message_id) if refusal is Refusal.MISSING else StaleReceipt(message_id)
