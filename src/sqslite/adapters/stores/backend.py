"""A backend: one storage technology with all the store ports on it."""

from typing import Protocol

from sqslite.adapters.examination import Finding
from sqslite.domain.ports import QueueCatalog, QueueStats, Redrives, Store


class Backend(Protocol):
    """The store ports on one storage, and that storage's own life: opened once, closed once."""

    @property
    def store(self) -> Store:
        """Messages and leases."""
        ...

    @property
    def catalog(self) -> QueueCatalog:
        """Queues."""
        ...

    @property
    def stats(self) -> QueueStats:
        """Counts and peeks."""
        ...

    @property
    def redrives(self) -> Redrives:
        """Tasks that move dead letters on."""
        ...

    async def open(self) -> None:
        """Connect. Succeeds without the storage where it can be waited for; calls then raise StoreUnavailable."""
        ...

    async def migrate(self) -> list[str]:
        """Bring the schema up to this version; the names of the migrations applied now.

        Safe to run from several nodes at once. Raises SchemaTooNew where a newer sqslite was here.
        """
        ...

    async def ping(self) -> None:
        """Ask the storage for an answer. Raises StoreUnavailable where there is none."""
        ...

    async def examine(self) -> list[Finding]:
        """Look at all that an operator can set right; changes nothing. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
