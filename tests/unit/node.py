"""One node of the system, whole but without I/O: the domain over a memory store, on a clock that the test moves."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.entropy import SeededEntropy
from sqslite.adapters.stores.faulty import Fault
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.domain.administration import QueueAdministration
from sqslite.domain.directory import QueueDirectory
from sqslite.domain.in_flight import InFlight
from sqslite.domain.inspection import QueueInspection
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.messages import Accepted, Delivery, Message, NewMessage
from sqslite.domain.ports import Depth, Store
from sqslite.domain.queues import Defaults, QueueSettings
from sqslite.domain.redriving import Redriving
from sqslite.domain.service import QueueService
from sqslite.domain.sweep import Sweep
from sqslite.domain.tally import Tally
from tests.unit.recording_observer import RecordingObserver

INTERVAL_MS = 60 * SECOND_MS


class Plan(Iterator[Fault]):
    """Faults to come, to which a test may add as it goes."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = deque(faults)

    def __next__(self) -> Fault:
        if not self.faults:
            raise StopIteration
        return self.faults.popleft()


class NotedWakeups(LocalWakeups):
    """Notes whom it was told to wake."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.told: list[tuple[str, int]] = []

    def notify(self, queue: str, count: int) -> None:
        self.told.append((queue, count))
        super().notify(queue, count)


@dataclass
class Node:
    """`backend` is what the messages really are in; `service` and `sweep` see it through the node's own store."""

    clock: VirtualClock
    backend: MemoryBackend
    observer: RecordingObserver
    directory: QueueDirectory
    sweep: Sweep
    service: QueueService
    tally: Tally
    administration: QueueAdministration
    inspection: QueueInspection
    redriving: Redriving

    async def enqueue(self, *messages: NewMessage, queue: str = "orders") -> list[int]:
        outcomes = await self.service.enqueue(queue, messages or (message(),))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [outcome.id for outcome in outcomes]

    async def claim_one(self, queue: str = "orders", visibility_ms: int | None = None) -> Delivery:
        (delivery,) = await self.service.claim(queue, 1, visibility_ms)
        return delivery

    async def messages(self, queue: str = "orders") -> list[Message]:
        found = await self.backend.catalog.find(queue)
        if found is None:
            return []
        states = (State.READY, State.DELAYED, State.LEASED)
        pages = [await self.backend.stats.peek(found.partition_id, state, None, 10_000) for state in states]
        return sorted((message for page in pages for message in page), key=lambda message: message.id)

    async def depth(self, queue: str = "orders") -> Depth:
        found = await self.backend.catalog.find(queue)
        (depth,) = await self.backend.stats.depths([found])
        return depth

    async def create(self, queue: str, **settings: object) -> None:
        await self.backend.catalog.ensure(queue, QueueSettings(**settings))

    def shift(self, milliseconds: int) -> None:
        self.clock.shift(ms(milliseconds))

    async def advance(self, milliseconds: int) -> None:
        await self.clock.advance(ms(milliseconds))

    def neighbour(self, decorate: Callable[[Store], Store] = lambda store: store) -> "Node":
        """Another node on the same storage."""
        return node(decorate, clock=self.clock, backend=self.backend)


def node(
    decorate: Callable[[Store], Store] = lambda store: store,
    *,
    defaults: Defaults | None = None,
    clock: VirtualClock | None = None,
    backend: MemoryBackend | None = None,
    wakeups: LocalWakeups | None = None,
) -> Node:
    clock = clock or VirtualClock()
    backend = backend or MemoryBackend(clock)
    store, entropy, observer = decorate(backend.store), SeededEntropy(), RecordingObserver()
    directory = QueueDirectory(backend.catalog, clock)
    wakeups = wakeups or LocalWakeups(clock)
    tally = Tally(backend.stats, clock)
    defaults = defaults or Defaults()
    sweep = Sweep(store, directory, clock, entropy, observer, wakeups, tally, defaults, INTERVAL_MS)
    service = QueueService(
        store, directory, sweep, clock, entropy, observer, wakeups, tally, InFlight(backend.stats, clock), defaults
    )
    administration = QueueAdministration(backend.catalog, directory, wakeups, tally, defaults)
    return Node(
        clock=clock,
        backend=backend,
        observer=observer,
        directory=directory,
        sweep=sweep,
        service=service,
        tally=tally,
        administration=administration,
        inspection=QueueInspection(backend.stats, administration, tally, defaults),
        redriving=Redriving(
            backend.redrives, backend.stats, administration, directory, clock, observer, wakeups, defaults
        ),
    )


def message(body: bytes = b'{"n":1}', **fields: object) -> NewMessage:
    return NewMessage(body=body, **fields)
