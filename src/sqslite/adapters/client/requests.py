"""What goes to a server and what comes back, whoever carries it."""

import enum
from typing import TypeAlias

from msgspec import Struct

from sqslite.domain.errors import SqsliteError


class Effect(enum.Enum):
    """What it does to send a request a second time, when nobody knows what became of the first."""

    NONE = enum.auto()
    """It only looks."""
    SAME = enum.auto()
    """Twice is as good as once."""
    ANOTHER = enum.auto()
    """It might be done twice."""


class Request(Struct, frozen=True, kw_only=True):
    """What to send; the answer may take `wait_ms` longer than others do."""

    method: str
    path: str
    body: bytes = b""
    effect: Effect = Effect.SAME
    wait_ms: int = 0


class Reply(Struct, frozen=True):
    """What came back. `retry_after_s` None: it does not say when to try again."""

    status: int
    body: bytes
    retry_after_s: int | None = None


Outcome: TypeAlias = Reply | SqsliteError
"""A reply, or the reason why there is none."""
