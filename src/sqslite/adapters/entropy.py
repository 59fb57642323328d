"""Randomness: the operating system's, and a seeded one for tests."""

import os
import random

from sqslite.domain.leases import SECRET_BYTES


class SystemEntropy:
    """Secrets from the operating system, jitter from a generator seeded by it."""

    def __init__(self) -> None:
        self._random = random.Random()

    def secrets(self, count: int) -> bytes:
        """`count` unguessable secrets, one behind another."""
        return os.urandom(count * SECRET_BYTES)

    def jitter(self) -> float:
        """A number in 0..1."""
        return self._random.random()


class SeededEntropy:
    """The same sequence for the same seed: for tests only, for its secrets can be foretold."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def secrets(self, count: int) -> bytes:
        """`count` secrets of the sequence, one behind another."""
        return self._random.randbytes(count * SECRET_BYTES)

    def jitter(self) -> float:
        """The next number of the sequence, in 0..1."""
        return self._random.random()
