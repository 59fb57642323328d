"""The bodies of a load test's messages: each is known by its number, and by its bytes."""

import random
import re

from sqslite.entrypoints.loadtest.plan import Plan

# Texts of messages start at different places, so that they differ.
STARTS = 997
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Bodies:
    """JSON objects with the run, the message's number and a text that makes them as large as they shall be."""

    def __init__(self, plan: Plan, chance: random.Random) -> None:
        self._sizes = plan.body_bytes_min, plan.body_bytes_max
        self._chance = chance
        self._run = plan.run.encode()
        self._text = "".join(chance.choices(LETTERS, k=plan.body_bytes_max + STARTS)).encode()
        self._ours = re.compile(rb'\{"run":"%s","n":(\d{1,12}),' % re.escape(self._run))

    def body(self, number: int) -> bytes:
        """The body of that message, of a size by chance."""
        return self._shown(number, self._chance.randint(*self._sizes))

    def number(self, body: bytes) -> int | None:
        """Whose body it is, None where it is no message of this run."""
        found = self._ours.match(body)
        return int(found[1]) if found else None

    def intact(self, number: int, body: bytes) -> bool:
        """Whether it is that message's body, byte for byte."""
        return body == self._shown(number, len(body))

    def _shown(self, number: int, size: int) -> bytes:
        head = b'{"run":"%s","n":%d,"text":"' % (self._run, number)
        start = number % STARTS
        return b'%s%s"}' % (head, self._text[start : start + size - len(head) - 2])
