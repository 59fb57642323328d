"""How likely which fault is, drawn from a seed: the same for the same calls."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from sqslite.domain.limits import check_range

DELAY_MS_DEFAULT = 1_000
DELAY_MS_MAX = 60_000


class FaultRates(Struct, frozen=True, kw_only=True):
    """How likely each fault is, 0 never and 1 always; the same `seed` gives the same faults to the same calls.

    `refused`: nothing is done, and the caller is told so. `lost_request`: nothing is done, and the caller cannot know.
    `lost_response`: it is done, and the caller cannot know. `duplicate_delivery`: what a receive gave out is there for
    the next one at once, as if its lease had ended. `delayed_ack`: the ack is done `delay_ms` later.
    """

    seed: int = 0
    refused: float = 0
    lost_request: float = 0
    lost_response: float = 0
    duplicate_delivery: float = 0
    delayed_ack: float = 0
    delay_ms: int = DELAY_MS_DEFAULT


class Chances:
    """Says of each call whether a fault befalls it."""

    def __init__(self) -> None:
        self._paused = False
        self.set_rates(FaultRates())

    @property
    def rates(self) -> FaultRates:
        """The rates that hold now."""
        return self._rates

    def set_rates(self, rates: FaultRates) -> None:
        """Draw by these rates from now on, from the beginning of the seed's sequence. Raises InvalidValue."""
        for field in ("refused", "lost_request", "lost_response", "duplicate_delivery", "delayed_ack"):
            check_range(field, getattr(rates, field), 0, 1)
        check_range("delay_ms", rates.delay_ms, 0, DELAY_MS_MAX)
        self._rates = rates
        self._random = random.Random(rates.seed)

    def strike(self, chance: float) -> bool:
        """Whether something that happens with that chance happens now."""
        return not self._paused and self._random.random() < chance

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let nothing befall anybody for the time of the block, and draw nothing from the sequence."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False
