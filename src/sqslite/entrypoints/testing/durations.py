"""Spans of time as a test writes them."""

import re
from datetime import timedelta

from sqslite.domain.errors import InvalidValue
from sqslite.domain.limits import SECOND_MS

Duration = str | float | timedelta

_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
_UNIT_MS = {"ms": 1, "s": SECOND_MS, "m": 60 * SECOND_MS, "h": 3_600 * SECOND_MS, "d": 86_400 * SECOND_MS}


def milliseconds(duration: Duration) -> int:
    """Whole milliseconds of `"250ms"`, `"30s"`, `"5m"`, `"12h"`, `"4d"`, a timedelta, or a number of seconds.

    Raises InvalidValue.
    """
    if isinstance(duration, timedelta):
        return round(duration.total_seconds() * SECOND_MS)
    if isinstance(duration, int | float):
        return round(duration * SECOND_MS)
    written = _WRITTEN.fullmatch(duration.strip())
    if written is None:
        raise InvalidValue("duration", duration, "such as 250ms, 30s, 5m, 12h or 4d, or a number of seconds")
    return round(float(written[1]) * _UNIT_MS[written[2]])
