"""What becomes of a message when its handler has ended: decided here, carried out elsewhere."""

import enum
from typing import Literal

from msgspec import Struct

from sqslite.domain.leases import Wish
from sqslite.domain.limits import ERROR_BYTES_MAX
from sqslite.entrypoints.worker.failures import Ending, Reject, Retry, Undecodable

OnUndecodable = Literal["reject", "retry"]


class Outcome(enum.StrEnum):
    """How the work on a message ended, as metrics and logs name it."""

    ACKED = "acked"
    FAILED = "failed"
    RETRIED = "retried"
    REJECTED = "rejected"
    UNDECODABLE = "undecodable"
    TIMED_OUT = "timed_out"
    RELEASED = "released"
    LOST = "lost"


class Verdict(Struct, frozen=True):
    """`wish` None: the message is acked, or (LOST) left alone; else its lease is given up with that wish."""

    outcome: Outcome
    wish: Wish | None = None


def on_success() -> Verdict:
    """The work is done."""
    return Verdict(Outcome.ACKED)


def on_failure(error: BaseException, on_undecodable: OnUndecodable) -> Verdict:
    """The handler raised this."""
    text = told(error)
    match error:
        case Retry():
            return Verdict(Outcome.RETRIED, Wish(error.delay_ms, text))
        case Reject():
            return Verdict(Outcome.REJECTED, Wish(error=text, dead_letter=True))
        case Undecodable():
            return Verdict(Outcome.UNDECODABLE, Wish(error=text, dead_letter=on_undecodable == "reject"))
    return Verdict(Outcome.FAILED, Wish(error=text))


def on_ending(ending: Ending, timeout_ms: int) -> Verdict:
    """The handler was told to end, and has no result."""
    match ending:
        case Ending.LOST:
            return Verdict(Outcome.LOST)
        case Ending.TIMED_OUT:
            return Verdict(Outcome.TIMED_OUT, Wish(error=f"timed out after {timeout_ms / 1_000:g} s"))
        case Ending.STOPPED:
            # Nobody failed: others may have it at once.
            return Verdict(Outcome.RELEASED, Wish(delay_ms=0))


def told(error: BaseException) -> str:
    """The error as the next receiver reads it, in at most ERROR_BYTES_MAX bytes and free of what no store keeps."""
    said = str(error)
    if isinstance(error, Retry | Reject) and not said and error.__cause__ is not None:
        return told(error.__cause__)
    ours = isinstance(error, Retry | Reject | Undecodable)
    text = said if ours and said else f"{type(error).__name__}: {said}" if said else type(error).__name__
    # A lone surrogate becomes a question mark, and what a cut leaves of a character goes.
    kept = text.replace("\0", "�").encode("utf-8", "replace")[:ERROR_BYTES_MAX]
    return kept.decode("utf-8", "ignore")
