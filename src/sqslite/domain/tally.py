"""What happened to each queue's messages, added up here and handed to the store now and then."""

from collections import defaultdict

from sqslite.domain.errors import OutcomeUnknown, SqsliteError
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Clock, QueueStats, Totals

FLUSH_EVERY_MS = SECOND_MS


class Tally:
    """The totals of this node that the store does not have yet; a node that is killed loses those of a second."""

    def __init__(self, stats: QueueStats, clock: Clock) -> None:
        self._stats = stats
        self._clock = clock
        self._pending: defaultdict[int, Totals] = defaultdict(Totals)

    def add(
        self, partition_id: int, *, enqueued: int = 0, received: int = 0, acked: int = 0, dead_lettered: int = 0
    ) -> None:
        """Count what happened to messages of the partition."""
        totals = self._pending[partition_id]
        totals.enqueued += enqueued
        totals.received += received
        totals.acked += acked
        totals.dead_lettered += dead_lettered

    async def totals(self, partition_id: int) -> Totals:
        """All that was counted: by this node until now, by others until about a second ago."""
        (stored,) = await self._stats.totals([partition_id])
        return stored + self._pending.get(partition_id, Totals())

    async def flush(self) -> None:
        """Hand over what is pending. Where the store refuses, it is kept; where the outcome is unknown, it is not."""
        pending, self._pending = self._pending, defaultdict(Totals)
        if not pending:
            return
        try:
            await self._stats.add(pending)
        except OutcomeUnknown:
            raise
        except SqsliteError:
            for partition_id, totals in pending.items():
                self._pending[partition_id] += totals
            raise

    async def run(self) -> None:
        """Flush about once a second, for ever; what a flush could not hand over the next one does."""
        while True:
            await self._clock.sleep_until(self._clock.now() + ms(FLUSH_EVERY_MS))
            try:
                await self.flush()
            except Exception:
                # Counts that are late or lost must not end the counting; the store's own calls tell that it is away.
                continue
