"""Hints: what processes tell one another about messages that came, and those that still have to be sent."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import msgspec
from msgspec import Struct

# Hints for more queues than these are dropped: whoever waits there looks by itself.
PENDING_QUEUES_MAX = 1_000


class Hint(Struct, frozen=True, omit_defaults=True):
    """`count` messages of the queue may have become claimable. `node` None: not sent by a process of sqslite."""

    queue: str
    count: int = 1
    node: str | None = None


_decoder = msgspec.json.Decoder(Hint)


def payload(hint: Hint) -> str:
    """The hint as the text of a notification."""
    return str(msgspec.json.encode(hint), "utf-8")


def hint_of(text: str) -> Hint | None:
    """The hint in a notification's text; None where there is none in it, for anybody may send on the channel."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None


class Outbox:
    """Hints that wait to be sent, one per queue, however many came; of PENDING_QUEUES_MAX queues at most."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._filled = asyncio.Event()

    def add(self, queue: str, count: int) -> None:
        """Keep a hint, merged with what waits for the same queue; a count below 1 says nothing."""
        if count > 0 and (queue in self._counts or len(self._counts) < PENDING_QUEUES_MAX):
            self._counts[queue] += count
            self._filled.set()

    async def filled(self) -> None:
        """Return once there is something to send."""
        await self._filled.wait()

    def take(self) -> Mapping[str, int]:
        """Everything there is, by queue, which is then no longer here."""
        taken, self._counts = self._counts, Counter()
        self._filled.clear()
        return taken
