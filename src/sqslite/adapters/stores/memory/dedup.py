"""The dedup_ids that a partition knows, by their keys (accepting.dedup_key)."""

import heapq
from datetime import datetime


class Dedup:
    """Which message came with a key, each known for a time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, datetime]] = {}
        self._by_end: list[tuple[datetime, str]] = []

    def earlier(self, key: str, now: datetime) -> int | None:
        """The message that came with it, None where it is new."""
        message_id, until = self._known.get(key, (None, now))
        return message_id if until > now else None

    def remember(self, key: str, message_id: int, until: datetime) -> None:
        """Know it until then."""
        self._known[key] = message_id, until
        heapq.heappush(self._by_end, (until, key))

    def forget(self, limit: int, now: datetime) -> int:
        """Forget up to so many that are past; how many it were."""
        forgotten = 0
        while forgotten < limit and self._by_end and self._by_end[0][0] <= now:
            until, key = heapq.heappop(self._by_end)
            # One that came again in the meantime has a later end.
            if key in self._known and self._known[key][1] == until:
                del self._known[key]
                forgotten += 1
        return forgotten
