"""Where the next claim of a partition starts to look.

Claimed messages leave dead entries at the head of the ready index, and while any transaction holds an old snapshot
they cannot be cleared away. A claim that starts at the head reads them all again; one that starts where the last one
ended does not.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from msgspec import Struct

BEGINNING = datetime.min.replace(tzinfo=UTC)
# Commits come a little out of the order of their `not_before`; those that come later are found by a full scan.
SLACK = timedelta(milliseconds=100)
FULL_SCAN_EVERY_S = 1.0
# Full scans take at most about this share of a partition's time, however slow they have become.
REST_PER_SCAN = 20.0
# While claims come back full nothing seems to be missing; yet an older message must not wait for ever.
UNASKED_FULL_SCAN_EVERY_S = 10.0
PARTITIONS_MAX = 10_000


class Cursor(Protocol):
    """Decides where claims start to look."""

    def start(self, partition_id: int) -> datetime:
        """The `not_before` to look from; BEGINNING for a full scan."""
        ...

    def may_look_again(self, partition_id: int) -> bool:
        """Whether a claim that started later and came back short shall look from the beginning."""
        ...

    def scanned(self, partition_id: int, start: datetime, last: datetime | None, duration_s: float) -> None:
        """Note a scan: where it started, the last `not_before` it claimed (None: nothing), how long it took."""
        ...


class AlwaysFromTheStart:
    """No cursor at all: what a benchmark compares with."""

    def start(self, partition_id: int) -> datetime:
        """The beginning."""
        return BEGINNING

    def may_look_again(self, partition_id: int) -> bool:
        """No need."""
        return False

    def scanned(self, partition_id: int, start: datetime, last: datetime | None, duration_s: float) -> None:
        """Nothing to note."""


class _Place(Struct):
    not_before: datetime
    full_scan_from_s: float
    unasked_full_scan_from_s: float


class ClaimCursor:
    """Remembers per partition where the last claim ended; now and then it looks from the beginning all the same."""

    def __init__(
        self,
        *,
        full_scan_every_s: float = FULL_SCAN_EVERY_S,
        rest_per_scan: float = REST_PER_SCAN,
        partitions_max: int = PARTITIONS_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._full_scan_every_s = full_scan_every_s
        self._rest_per_scan = rest_per_scan
        self._partitions_max = partitions_max
        self._monotonic = monotonic
        self._places: OrderedDict[int, _Place] = OrderedDict()

    def start(self, partition_id: int) -> datetime:
        """A little before where the last claim ended, or the beginning where that is unknown or long ago."""
        place = self._places.get(partition_id)
        if place is None or place.not_before - BEGINNING < SLACK:
            return BEGINNING
        now_s = self._monotonic()
        if now_s >= max(place.unasked_full_scan_from_s, place.full_scan_from_s):
            # Whoever asks next need not do it as well.
            place.unasked_full_scan_from_s = now_s + UNASKED_FULL_SCAN_EVERY_S
            return BEGINNING
        return place.not_before - SLACK

    def may_look_again(self, partition_id: int) -> bool:
        """True about once a second, and less often where full scans are slow."""
        place = self._places.get(partition_id)
        now_s = self._monotonic()
        if place is None or now_s < place.full_scan_from_s:
            return False
        place.full_scan_from_s = now_s + self._full_scan_every_s
        return True

    def scanned(self, partition_id: int, start: datetime, last: datetime | None, duration_s: float) -> None:
        """Remember the place, and after a full scan the time."""
        place = self._places.get(partition_id)
        if place is None:
            if last is None:
                return
            place = self._places[partition_id] = _Place(last, 0.0, 0.0)
        if last is not None:
            place.not_before = last
        if start == BEGINNING:
            now_s = self._monotonic()
            pause_s = max(self._full_scan_every_s, self._rest_per_scan * duration_s)
            place.full_scan_from_s = now_s + pause_s
            place.unasked_full_scan_from_s = now_s + UNASKED_FULL_SCAN_EVERY_S
        self._places.move_to_end(partition_id)
        if len(self._places) > self._partitions_max:
            self._places.popitem(last=False)
