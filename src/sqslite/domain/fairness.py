"""Fair queues: now and then a claim takes the oldest, whatever its group, so that nothing is passed over for ever.

What was enqueued before its queue was fair is in no group that has a turn. While those that have one are never empty,
it would wait until its retention is over.
"""

from collections import OrderedDict

from msgspec.structs import replace

from sqslite.domain.queues import Queue

OLDEST_EVERY_CLAIMS = 10
COUNTED_QUEUES_MAX = 10_000


class Fairness:
    """How often this node has claimed from each fair queue, by partition."""

    def __init__(self) -> None:
        self._claims: OrderedDict[int, int] = OrderedDict()

    def claimed_as(self, queue: Queue) -> Queue:
        """The fair queue as the next claim is to see it: every tenth time as one that gives the oldest first."""
        claims = self._claims.get(queue.partition_id, 0) + 1
        self._claims[queue.partition_id] = claims % OLDEST_EVERY_CLAIMS
        if len(self._claims) > COUNTED_QUEUES_MAX:
            self._claims.popitem(last=False)
        if claims < OLDEST_EVERY_CLAIMS:
            return queue
        return replace(queue, settings=replace(queue.settings, fair=False))
