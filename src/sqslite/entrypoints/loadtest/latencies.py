"""Latencies in bounded memory: how many there were in each of many narrow ranges, in all and over time."""

import math
from collections import Counter

# The middle of a range is at most 1 % from every latency in it.
GROWTH = 1.02
SHORTEST_MS = 0.001
LOG_GROWTH = math.log(GROWTH)
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
INTERVALS_MAX = 600


class Histogram:
    """Counts of latencies by range; percentiles are right to 1 %, the maximum is exact."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.max_ms = 0.0

    def record(self, latency_ms: float) -> None:
        """Count one latency; none is shorter than a microsecond."""
        self._counts[int(math.log(max(latency_ms, SHORTEST_MS) / SHORTEST_MS) / LOG_GROWTH)] += 1
        self.count += 1
        self.max_ms = max(self.max_ms, latency_ms)

    def percentile(self, percent: float) -> float | None:
        """The latency that `percent` percent of all do not exceed, in milliseconds; None where there are none."""
        rank = math.ceil(self.count * percent / 100)
        for place in sorted(self._counts):
            rank -= self._counts[place]
            if rank <= 0:
                return min(SHORTEST_MS * math.exp(LOG_GROWTH * (place + 0.5)), self.max_ms)
        return None

    def add(self, other: "Histogram") -> None:
        """Take in the latencies of another."""
        self._counts.update(other._counts)
        self.count += other.count
        self.max_ms = max(self.max_ms, other.max_ms)


class Interval:
    """What happened in one stretch of time."""

    def __init__(self) -> None:
        self.enqueued = 0
        self.acked = 0
        self.errors = 0
        self.enqueue = Histogram()
        self.dwell = Histogram()

    def add(self, other: "Interval") -> None:
        """Take in what happened in another one."""
        self.enqueued += other.enqueued
        self.acked += other.acked
        self.errors += other.errors
        self.enqueue.add(other.enqueue)
        self.dwell.add(other.dwell)


class Measures:
    """What was counted and measured, in all and over time; time is cut coarser the longer it lasts."""

    def __init__(self) -> None:
        self.enqueue = Histogram()
        self.receive = Histogram()
        self.ack = Histogram()
        self.dwell = Histogram()
        self.errors: Counter[tuple[str, str]] = Counter()
        self.interval_s = 1
        self.intervals: list[Interval] = []

    def enqueued(self, at_s: float, latency_ms: float, accepted: int) -> None:
        """A call to enqueue was answered, and so many messages accepted."""
        self.enqueue.record(latency_ms)
        interval = self._interval(at_s)
        interval.enqueue.record(latency_ms)
        interval.enqueued += accepted

    def delivered(self, at_s: float, dwell_ms: float) -> None:
        """A message was delivered for the first time, so long after it was sent."""
        self.dwell.record(dwell_ms)
        self._interval(at_s).dwell.record(dwell_ms)

    def acked(self, at_s: float, latency_ms: float, done: int) -> None:
        """A call to ack was answered, and so many messages acked."""
        self.ack.record(latency_ms)
        self._interval(at_s).acked += done

    def failed(self, at_s: float, call: str, code: str, count: int = 1) -> None:
        """A call, or so many entries of one, were refused with that code."""
        self.errors[call, code] += count
        self._interval(at_s).errors += count

    def latest(self, at_s: float) -> Interval:
        """What happened in the stretch of time that has that second; an empty one where nothing did."""
        place = int(at_s // self.interval_s)
        return self.intervals[place] if 0 <= place < len(self.intervals) else Interval()

    def _interval(self, at_s: float) -> Interval:
        place = int(at_s // self.interval_s)
        while place >= INTERVALS_MAX:
            self._halve()
            place = int(at_s // self.interval_s)
        while len(self.intervals) <= place:
            self.intervals.append(Interval())
        return self.intervals[place]

    def _halve(self) -> None:
        for first, second in zip(self.intervals[::2], self.intervals[1::2], strict=False):
            first.add(second)
        self.intervals = self.intervals[::2]
        self.interval_s *= 2
