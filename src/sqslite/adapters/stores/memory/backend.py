"""All store ports over dictionaries and heaps."""

from sqslite.adapters.examination import Finding, Health
from sqslite.adapters.stores.memory.catalog import MemoryCatalog
from sqslite.adapters.stores.memory.redrives import MemoryRedrives
from sqslite.adapters.stores.memory.state import MemoryState
from sqslite.adapters.stores.memory.stats import MemoryStats
from sqslite.adapters.stores.memory.store import MemoryMessages
from sqslite.domain.ports import Clock


class MemoryBackend:
    """The ports over one state; a call runs without a pause, so it is atomic."""

    def __init__(self, clock: Clock) -> None:
        state = MemoryState(clock)
        self.store = MemoryMessages(state)
        self.catalog = MemoryCatalog(state)
        self.stats = MemoryStats(state)
        self.redrives = MemoryRedrives(state)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def migrate(self) -> list[str]:
        """Nothing to migrate."""
        return []

    async def ping(self) -> None:
        """Always there."""

    async def examine(self) -> list[Finding]:
        """There is nothing to set right, but something to know."""
        advice = "use sqlite:///… or postgresql://… for messages that you need"
        return [Finding("durability", Health.WARNING, "messages end with the process", advice)]

    async def close(self) -> None:
        """Nothing to let go of: a store that is opened again still has its messages."""
