"""Spans of time as a program says them: a number of seconds, or a timedelta."""

import math
from datetime import timedelta

from sqslite.domain.errors import InvalidValue
from sqslite.domain.limits import SECOND_MS

Duration = float | timedelta


def milliseconds(field: str, duration: Duration, low_ms: int, high_ms: int) -> int:
    """The duration in whole milliseconds. Raises InvalidValue where it is none, or not in `low_ms..high_ms`."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds):
        whole_ms = round(seconds * SECOND_MS)
        if low_ms <= whole_ms <= high_ms:
            return whole_ms
    allowed = f"{low_ms / SECOND_MS:g} to {high_ms / SECOND_MS:.0f} seconds, as a number or a timedelta"
    raise InvalidValue(field, seconds, allowed)
