"""Who looks on while a worker works: nobody, unless metrics are asked for."""

from typing import Protocol

from sqslite.entrypoints.worker.verdicts import Outcome


class WorkerObserver(Protocol):
    """Is told what happened, for metrics. It never raises and never waits."""

    def began(self, queue: str) -> None:
        """A handler was started."""
        ...

    def ended(self, queue: str, duration_s: float, outcomes: list[Outcome]) -> None:
        """A handler ended after that many seconds, with an outcome for each of its messages."""
        ...

    def extended(self, count: int) -> None:
        """`count` leases were extended."""
        ...

    def call_failed(self, call: str) -> None:
        """A call of the server failed and will be tried again: claim, ack, nack or extend."""
        ...


class NobodyWatches:
    """The observer where no metrics are asked for."""

    def began(self, queue: str) -> None:
        """Nothing."""

    def ended(self, queue: str, duration_s: float, outcomes: list[Outcome]) -> None:
        """Nothing."""

    def extended(self, count: int) -> None:
        """Nothing."""

    def call_failed(self, call: str) -> None:
        """Nothing."""
