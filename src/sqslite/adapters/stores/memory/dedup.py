"""The dedup_ids that a partition knows."""

import heapq
from datetime import datetime


class Dedup:
    """Which message came with a dedup_id, each known for a time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, datetime]] = {}
        self._by_end: list[tuple[datetime, str]] = []

    def earlier(self, dedup_id: str, now: datetime) -> int | None:
        """The message that came with it, None where it is new."""
        message_id, until = self._known.get(dedup_id, (None, now))
        return message_id if until > now else None

    def remember(self, dedup_id: str, message_id: int, until: datetime) -> None:
        """Know it until then."""
        self._known[dedup_id] = message_id, until
        heapq.heappush(self._by_end, (until, dedup_id))

    def forget(self, limit: int, now: datetime) -> int:
        """Forget up to so many that are past; how many it were."""
        forgotten = 0
        while forgotten < limit and self._by_end and self._by_end[0][0] <= now:
            until, dedup_id = heapq.heappop(self._by_end)
            # One that came again in the meantime has a later end.
            if dedup_id in self._known and self._known[dedup_id][1] == until:
                del self._known[dedup_id]
                forgotten += 1
        return forgotten
