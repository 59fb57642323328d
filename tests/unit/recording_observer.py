"""An observer that remembers what it was told, so that a test can hold it to the exact numbers."""

from collections import Counter
from collections.abc import Sequence


class RecordingObserver:
    def __init__(self) -> None:
        self.enqueued_in: Counter[str] = Counter()
        self.claimed_from: Counter[str] = Counter()
        self.lease_ages_ms: list[float] = []
        self.requeued_count = 0
        self.dead_lettered_count = 0
        self.expired_count = 0
        self.redriven_count = 0
        self.sweeps_s: list[float] = []
        self.failures: list[tuple[Exception, int]] = []

    def enqueued(self, queue: str, count: int) -> None:
        self.enqueued_in[queue] += count

    def claimed(self, queue: str, count: int) -> None:
        self.claimed_from[queue] += count

    def acked(self, lease_age_ms: Sequence[float]) -> None:
        self.lease_ages_ms += lease_age_ms

    def requeued(self, count: int) -> None:
        self.requeued_count += count

    def dead_lettered(self, count: int) -> None:
        self.dead_lettered_count += count

    def expired(self, count: int) -> None:
        self.expired_count += count

    def redriven(self, count: int) -> None:
        self.redriven_count += count

    def redrive_failed(self, error: Exception, retry_in_ms: int) -> None:
        self.failures.append((error, retry_in_ms))

    def swept(self, duration_s: float) -> None:
        self.sweeps_s.append(duration_s)

    def sweep_failed(self, error: Exception, retry_in_ms: int) -> None:
        self.failures.append((error, retry_in_ms))

    def retries_ms(self) -> list[int]:
        return [retry_in_ms for _, retry_in_ms in self.failures]
