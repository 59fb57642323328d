"""One queue of a testbed."""

from datetime import datetime
from typing import Unpack

from sqslite.domain.messages import Accepted, Message, Received
from sqslite.entrypoints.client import Client, Fields
from sqslite.entrypoints.testing.testbed import ANYTHING, Testbed, TestClock


class TestQueue:
    """A queue in memory, for one test: what a Client does, without naming the queue each time."""

    __test__ = False

    def __init__(self, bed: Testbed, name: str) -> None:
        self.name = name
        self._bed = bed

    @property
    def client(self) -> Client:
        """A client for all queues."""
        return self._bed.client

    @property
    def clock(self) -> TestClock:
        """The time of the queue."""
        return self._bed.clock

    def let_fail(self, **rates: float) -> None:
        """See Testbed."""
        self._bed.let_fail(**rates)

    def send(self, body: object, **fields: Unpack[Fields]) -> Accepted:
        """See Client."""
        return self.client.send(self.name, body, **fields)

    def receive(
        self, limit: int | None = None, *, visibility_ms: int | None = None, wait_ms: int | None = None
    ) -> list[Received]:
        """See Client."""
        return self.client.receive(self.name, limit, visibility_ms=visibility_ms, wait_ms=wait_ms)

    def finish(self, delivery: Received) -> None:
        """See Client."""
        self.client.finish(delivery)

    def fail(self, delivery: Received, error: str | None = None, *, delay_ms: int | None = None) -> None:
        """See Client."""
        self.client.fail(delivery, error, delay_ms=delay_ms)

    def hold(self, delivery: Received, visibility_ms: int) -> datetime:
        """See Client."""
        return self.client.hold(delivery, visibility_ms)

    def messages(self) -> list[Message]:
        """See Testbed."""
        return self._bed.messages(self.name)

    def assert_enqueued(self, match: object = ANYTHING, *, count: int | None = None) -> Message:
        """See Testbed."""
        __tracebackhide__ = True
        return self._bed.assert_enqueued(self.name, match, count=count)

    def drain(self) -> list[Received]:
        """See Testbed."""
        return self._bed.drain(self.name)
