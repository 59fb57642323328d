"""How long to wait before a failed call is made again, and which failures are worth another try."""

from sqslite.domain.errors import ErrorCode, SqsliteError
from sqslite.domain.limits import SECOND_MS
from sqslite.domain.ports import Entropy
from sqslite.domain.retry import Backoff, BackoffKind, pause_ms

# From half of it to all of it at random, so that workers that failed together do not come back together.
BACKOFF = Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=250, factor=2.0, max_ms=15 * SECOND_MS, jitter=0.5)
_PASSING = {
    ErrorCode.OVERLOADED,
    ErrorCode.STORE_UNAVAILABLE,
    ErrorCode.OUTCOME_UNKNOWN,
    ErrorCode.TOO_MANY_IN_FLIGHT,
}


def passes(error: Exception) -> bool:
    """Whether the same call may succeed later: all but what the domain refuses for good."""
    return not isinstance(error, SqsliteError) or error.code in _PASSING


class Pauses:
    """Waits that grow with every failure in a row."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._failures = 0

    def reset(self) -> None:
        """A call succeeded."""
        self._failures = 0

    def next_ms(self) -> int:
        """A call failed: how long to wait now."""
        self._failures += 1
        return pause_ms(BACKOFF, self._failures, self._entropy.jitter())
