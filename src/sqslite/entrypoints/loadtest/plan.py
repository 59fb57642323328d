"""What a load test is to do."""

from typing import Any

from msgspec import Struct

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue

# The ledger has 11 bytes for each.
MESSAGES_MAX = 20_000_000
# A body has the run's name and the message's number.
BODY_BYTES_MIN = 64
DAY_S = 24 * 60 * 60
AT_ONCE_MAX = 1_000
RANGES: dict[str, tuple[Any, Any]] = {
    "rate": (0.001, 1_000_000),
    "seconds": (0.1, DAY_S),
    "messages": (1, MESSAGES_MAX),
    "producers": (1, AT_ONCE_MAX),
    "consumers": (1, AT_ONCE_MAX),
    "batch": (1, min(limits.BATCH_MAX, limits.CLAIM_MAX)),
    "visibility_ms": (1, limits.VISIBILITY_MS_MAX),
    "wait_ms": (0, limits.WAIT_MS_MAX),
    "work_ms": (0, limits.VISIBILITY_MS_MAX),
    "crash_rate": (0, 1),
    "groups": (0, 100_000),
    "timeout_s": (0.1, 600),
    "drain_s": (0, DAY_S),
}


class Plan(Struct, frozen=True, kw_only=True):
    """Who sends and receives what, how fast and for how long.

    `rate`: messages a second, None: each producer sends the next when the last was answered. It ends after `seconds` or
    `messages`, whichever comes first. `batch`: messages of one call. `work_ms`: how long a consumer holds what it has
    received. `crash_rate`: the share of deliveries that are dropped unacked. `groups` 0: a queue without order; else a
    FIFO queue with so many groups. `drain_s`: how long the consumers may go on afterwards. `keep`: do not delete the
    queue. `seed` None: other sizes and crashes each time. Raises InvalidValue for what is outside its limits.
    """

    queue: str
    run: str
    rate: float | None = None
    seconds: float = 10.0
    messages: int = MESSAGES_MAX
    producers: int = 8
    consumers: int = 16
    batch: int = 1
    body_bytes_min: int = 200
    body_bytes_max: int = 200
    visibility_ms: int = 10_000
    wait_ms: int = 1_000
    work_ms: int = 0
    crash_rate: float = 0
    groups: int = 0
    timeout_s: float = 30.0
    drain_s: float = 60.0
    keep: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        limits.check_queue_name("queue", self.queue)
        for field, (low, high) in RANGES.items():
            value = getattr(self, field)
            if value is not None:
                limits.check_range(field, value, low, high)
        least = self.body_bytes_min
        limits.check_range("body_bytes", least, BODY_BYTES_MIN, limits.BODY_BYTES_MAX_CEILING)
        limits.check_range("body_bytes", self.body_bytes_max, least, limits.BODY_BYTES_MAX_CEILING)
        if 0 < self.groups < self.producers:
            # Only who sends all messages of a group knows their order.
            raise InvalidValue("groups", self.groups, f"0, or at least as many as producers ({self.producers})")
