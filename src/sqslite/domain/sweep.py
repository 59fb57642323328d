"""Sweeping: ended leases are settled, in pages, by whoever comes first.

A page is read, the domain decides, and one guarded bulk write per partition applies what was decided. No
lock is held in between, so any number of sweepers may run, and one that dies loses nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqslite.domain.directory import QueueDirectory
from sqslite.domain.leases import Lease, Wish
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import (
    Clock,
    Delete,
    Entropy,
    Expired,
    MoveToDlq,
    Observer,
    RequeueAt,
    Settlement,
    Store,
    Wakeups,
)
from sqslite.domain.queues import Defaults, Discipline, Queue, QueueSettings
from sqslite.domain.retry import DeadLetter, Drop, decide
from sqslite.domain.tally import Tally

PAGE_LEASES_MAX = 500
# A lease that another node gave out after we last looked is seen this much later at most, so that it is
# settled well within a second of its expiry (promise 6).
LOOK_EVERY_MS = 250
# Between two sweeps at least, so that a lease which is over and yet cannot be settled does not make a busy loop.
PAUSE_MS = 10
# What one sweep deletes of messages whose retention is over, and of rows that mean nothing any more.
PAGE_ROWS_MAX = 1_000
CLEARED_PAGES_MAX = 10
# A move to a dead-letter queue that was dropped meanwhile is tried once more, to the partition it has now.
MOVES_MAX = 2
RETRY_MS_FIRST = 250
RETRY_MS_MAX = 5 * SECOND_MS
NO_WISH = Wish()


class Sweep:
    """Settles leases that have ended, and sleeps until the next one ends."""

    def __init__(
        self,
        store: Store,
        directory: QueueDirectory,
        clock: Clock,
        entropy: Entropy,
        observer: Observer,
        wakeups: Wakeups,
        tally: Tally,
        defaults: Defaults,
        interval_ms: int,
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._observer = observer
        self._wakeups = wakeups
        self._tally = tally
        self._defaults = defaults
        self._interval_ms = interval_ms
        self._more = False

    async def run(self) -> None:
        """Sweep for ever; an error is told to the observer and tried again, ever more slowly."""
        retry_ms = RETRY_MS_FIRST
        while True:
            try:
                await self._sweep_once()
                interval_over_at = self._clock.now() + ms(self._interval_ms)
                due = False
                while not due:
                    due = await self._dozed_until_due(interval_over_at)
                    retry_ms = RETRY_MS_FIRST
            except Exception as error:
                self._observer.sweep_failed(error, retry_ms)
                await self._clock.sleep_until(self._clock.now() + ms(retry_ms))
                retry_ms = min(2 * retry_ms, RETRY_MS_MAX)

    async def settle_due(self, partition_id: int | None = None) -> int:
        """Settle every lease that has ended, in one partition or (None) in all; how many were settled here."""
        settled_count = 0
        while True:
            expired = await self._store.expired(PAGE_LEASES_MAX, partition_id)
            settled = await self.settle(expired) if expired.leases else set()
            settled_count += len(settled)
            # A full page that somebody else settled meanwhile is no reason to spin.
            if len(expired.leases) < PAGE_LEASES_MAX or not settled:
                return settled_count

    async def settle(self, ended: Expired, wishes: Mapping[int, Wish] | None = None) -> set[int]:
        """Decide on each lease and apply it; the ids of the messages settled here rather than by somebody else.

        `wishes` are by message id; a lease without one is left to the policy.
        """
        settled: set[int] = set()
        leases = ended.leases
        for _ in range(MOVES_MAX):
            applied, unmoved = await self._settled(Expired(ended.now, leases), wishes or {})
            settled.update(settlement.lease.receipt.message_id for settlement in applied)
            # A dead-letter queue that was purged or deleted has another partition than this node remembers.
            for move in unmoved:
                self._directory.forget(move.dlq.name)
            leases = [move.lease for move in unmoved]
            if not leases:
                break
        return settled

    async def clear(self) -> bool:
        """Delete some of what outlived its retention or means nothing any more; True where more is left."""
        for _ in range(CLEARED_PAGES_MAX):
            expired = await self._store.expire(PAGE_ROWS_MAX)
            self._observer.expired(expired)
            tidied = await self._store.tidy(PAGE_ROWS_MAX)
            retaining = await self._store.retain(PAGE_ROWS_MAX)
            if expired < PAGE_ROWS_MAX and not tidied and not retaining:
                return False
        return True

    async def _settled(self, ended: Expired, wishes: Mapping[int, Wish]) -> tuple[list[Settlement], list[MoveToDlq]]:
        """What was applied, and which moves were not."""
        applied: list[Settlement] = []
        unmoved: list[MoveToDlq] = []
        for partition_id, settlements in (await self._decided(ended, wishes)).items():
            done = await self._store.settle(partition_id, settlements)
            applied_here = [settlement for settlement, ok in zip(settlements, done, strict=True) if ok]
            self._tell(partition_id, applied_here)
            self._wake(ended, applied_here)
            applied += applied_here
            unmoved += [s for s, ok in zip(settlements, done, strict=True) if not ok and isinstance(s, MoveToDlq)]
        return applied, unmoved

    def _tell(self, partition_id: int, applied: Sequence[Settlement]) -> None:
        moved = sum(isinstance(settlement, MoveToDlq) for settlement in applied)
        deleted = sum(isinstance(settlement, Delete) for settlement in applied)
        self._observer.dead_lettered(moved)
        self._observer.expired(deleted)
        self._observer.requeued(len(applied) - moved - deleted)
        if moved:
            self._tally.add(partition_id, dead_lettered=moved)

    def _wake(self, ended: Expired, applied: Sequence[Settlement]) -> None:
        """Tell waiters of what can be claimed at once; what comes due later they look for themselves."""
        claimable: Counter[str] = Counter()
        for settlement in applied:
            if isinstance(settlement, MoveToDlq):
                claimable[settlement.dlq.name] += 1
            if isinstance(settlement, RequeueAt):
                claimable[settlement.lease.queue] += settlement.not_before <= ended.now
            elif (source := self._directory.at(settlement.lease.receipt.partition_id)) is not None:
                # What came behind it in its group may be claimable now.
                claimable[source.name] += source.settings.discipline is Discipline.FIFO
        for queue, count in claimable.items():
            if count:
                self._wakeups.notify(queue, count)

    async def _decided(self, ended: Expired, wishes: Mapping[int, Wish]) -> dict[int, list[Settlement]]:
        # Found, not ensured: a queue that is deleted meanwhile must not come back by this.
        queues = {name: await self._directory.find(name) for name in {lease.queue for lease in ended.leases}}
        policies = {
            name: self._defaults.retry_policy(name, queue.settings if queue else QueueSettings())
            for name, queue in queues.items()
        }
        decided = [
            (lease, wish, decide(lease, policies[lease.queue], self._entropy.jitter(), ended.now, wish.dead_letter))
            for lease in ended.leases
            for wish in (wishes.get(lease.receipt.message_id, NO_WISH),)
        ]
        dlqs = await self._directory.ensure_all(
            (decision.queue, queues[lease.queue]) for lease, _, decision in decided if isinstance(decision, DeadLetter)
        )
        by_partition: dict[int, list[Settlement]] = defaultdict(list)
        for lease, wish, decision in decided:
            settlement: Settlement
            if isinstance(decision, DeadLetter):
                settlement = self._moved(lease, dlqs[decision.queue], ended.now, wish)
            elif isinstance(decision, Drop):
                settlement = Delete(lease)
            else:
                after_ms = decision.after_ms if wish.delay_ms is None else wish.delay_ms
                settlement = RequeueAt(lease, ended.now + ms(after_ms), wish.error)
            by_partition[lease.receipt.partition_id].append(settlement)
        return by_partition

    def _moved(self, lease: Lease, dlq: Queue, now: datetime, wish: Wish) -> MoveToDlq:
        return MoveToDlq(lease, dlq, now, self._defaults.retention_ms(dlq), wish.error)

    async def _sweep_once(self) -> None:
        started_at = self._clock.now()
        await self.settle_due()
        self._more = await self.clear()
        self._observer.swept((self._clock.now() - started_at).total_seconds())

    async def _dozed_until_due(self, interval_over_at: datetime) -> bool:
        """Sleep until it is time to look again; True where it is time to sweep."""
        due = await self._store.next_due()
        # Only differences of the store's time count here: this node's clock may be off.
        to_go = ms(self._interval_ms) if due.at is None else due.at - due.now
        pause = min(max(to_go, ms(PAUSE_MS)), ms(LOOK_EVERY_MS))
        await self._clock.sleep_until(min(interval_over_at, self._clock.now() + pause))
        return self._more or to_go <= ms(0) or self._clock.now() >= interval_over_at
