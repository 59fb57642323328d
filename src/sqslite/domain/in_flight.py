"""How many messages of a queue are leased, for queues that limit it: known without counting for every claim.

A node reads the count now and then and adds what it leases itself; what other nodes lease it learns of with the next
reading. So the limit holds about, as SQS's own does, and a claim costs nothing where none is set.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec import Struct

from sqslite.domain.errors import InFlightLimit
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Clock, QueueStats
from sqslite.domain.queues import Queue

READ_EVERY_MS = SECOND_MS
# A full queue has room again once leases end, on whichever node.
READ_FULL_EVERY_MS = 250
COUNTED_QUEUES_MAX = 10_000


class Count(Struct):
    """What was read, changed by what this node has leased and acked since; and what its claims may lease just now."""

    leased: int
    read_at: datetime
    claiming: int = 0


class InFlight:
    """The counts of this node, by partition."""

    def __init__(self, stats: QueueStats, clock: Clock) -> None:
        self._stats = stats
        self._clock = clock
        self._counts: OrderedDict[int, Count] = OrderedDict()

    async def within(
        self, queue: Queue, limit: int, claim: Callable[[int], Awaitable[list[Delivery]]]
    ) -> list[Delivery]:
        """What the claim leases, which is told how many messages it may take: up to `limit`, as far as there is room.

        Without room a FIFO queue has none; any other raises InFlightLimit (SQS: OverLimit). `in_flight_max` is set.
        """
        most = queue.settings.in_flight_max
        assert most is not None
        count = await self._count(queue, most)
        room = min(limit, most - count.leased - count.claiming)
        if room <= 0:
            if queue.settings.fifo:
                return []
            raise InFlightLimit(queue.name, most)
        count.claiming += room
        try:
            deliveries = await claim(room)
            count.leased += len(deliveries)
        finally:
            count.claiming -= room
        return deliveries

    def ended(self, partition_id: int, leased: int) -> None:
        """So many messages that were leased are gone."""
        count = self._counts.get(partition_id)
        if count is not None:
            count.leased = max(0, count.leased - leased)

    async def _count(self, queue: Queue, most: int) -> Count:
        count = self._counts.get(queue.partition_id)
        now = self._clock.now()
        if count is not None:
            every_ms = READ_EVERY_MS if count.leased + count.claiming < most else READ_FULL_EVERY_MS
            if now < count.read_at + ms(every_ms):
                return count
            # Other claims go by what is known while this one reads.
            count.read_at = now
        (depth,) = await self._stats.depths([queue])
        count = self._counts.setdefault(queue.partition_id, Count(0, now))
        count.leased = depth.in_flight
        if len(self._counts) > COUNTED_QUEUES_MAX:
            self._counts.popitem(last=False)
        return count
