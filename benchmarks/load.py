"""What a driver process is told to do, and what it tells afterwards."""

import time
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

# A message that has not come by then, after the last enqueue, counts as lost.
MISSING_AFTER_S = 5.0


@dataclass(frozen=True)
class Load:
    """Closed loops against one address, each with one call under way; times are of the system's monotonic clock."""

    flow: str
    address: str
    queue: str
    connections: int
    batch: int
    starts_at: float
    ends_at: float
    """Cycles begun before `starts_at` warm up; none begins after `ends_at`."""


@dataclass
class Tally:
    """What came of it: all ids, and the figures of those cycles that ended between start and end."""

    starts_at: float
    ends_at: float
    messages: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    by_second: Counter[int] = field(default_factory=Counter)
    """Messages whose cycle ended in each second from the start on."""
    enqueued: list[Hashable] = field(default_factory=list)
    acked: list[Hashable] = field(default_factory=list)
    empty_receives: int = 0
    cpu_s: float = 0.0

    def cycle_done(self, began_at: float, messages: int) -> None:
        """Count a full cycle, which took from then until now."""
        now = time.monotonic()
        if self.starts_at <= now <= self.ends_at:
            self.messages += messages
            self.by_second[int(now - self.starts_at)] += messages
            self.latencies_ms.append((now - began_at) * 1_000)

    def given_up(self) -> bool:
        """Note a receive that came back empty; true once there is no point in asking again."""
        self.empty_receives += 1
        return time.monotonic() > self.ends_at + MISSING_AFTER_S

    def add(self, other: "Tally") -> None:
        """Take in what another process did in the same time."""
        self.messages += other.messages
        self.latencies_ms += other.latencies_ms
        self.by_second += other.by_second
        self.enqueued += other.enqueued
        self.acked += other.acked
        self.empty_receives += other.empty_receives
        self.cpu_s += other.cpu_s
