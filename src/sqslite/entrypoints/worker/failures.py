"""What a handler raises to say what shall become of its message, and why one is told to end."""

import enum

from sqslite.domain.limits import DELAY_MS_MAX
from sqslite.entrypoints.worker.durations import Duration, milliseconds


class Retry(Exception):
    """Deliver the message again: `after` that pause, or (None) when the queue's backoff says.

    It counts as a failed delivery: one whose deliveries are used up goes to its dead-letter queue all the same.
    Raises InvalidValue where `after` is not 0 to 14 days.
    """

    def __init__(self, reason: str | None = None, *, after: Duration | None = None) -> None:
        super().__init__(*([reason] if reason else []))
        self.delay_ms = None if after is None else milliseconds("after", after, 0, DELAY_MS_MAX)


class Reject(Exception):
    """No further delivery can bring this work to an end: the message goes to its dead-letter queue now.

    A message without a dead-letter queue comes again after 1 s, 2 s, 4 s and so on up to an hour, and the log says so.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(*([reason] if reason else []))


class Undecodable(Exception):
    """The body is not what the handler's annotation says."""


class Ending(enum.StrEnum):
    """Why a handler was told to end before it had come to its end."""

    LOST = "lost"
    """Its lease is gone: the message belongs to somebody else, or is there no longer."""
    TIMED_OUT = "timed_out"
    """It took longer than its task allows."""
    STOPPED = "stopped"
    """The worker stops, and its grace is over."""
