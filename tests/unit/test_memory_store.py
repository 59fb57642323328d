"""The memory store, bare and behind decorators, passes the conformance suite."""

from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import TypeVar

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.coalescing import CoalescingStore
from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.domain.errors import OutcomeUnknown, StoreUnavailable
from tests.conformance.suite import StoreConformance
from tests.conformance.world import World

T = TypeVar("T")


def _world(decorate) -> World:
    clock = VirtualClock()
    backend = MemoryBackend(clock)
    return World(backend, clock, decorate(backend.store))


class InsistentStore(InterceptedStore):
    """Tries again until the store takes the call: sound for faults that have done nothing."""

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except (StoreUnavailable, OutcomeUnknown):
                continue


class TestMemoryBackend(StoreConformance):
    @pytest.fixture
    def world(self) -> World:
        return _world(lambda store: store)


class TestCoalescingOverMemory(StoreConformance):
    @pytest.fixture
    def world(self) -> World:
        return _world(CoalescingStore)


class TestFaultyOverMemory(StoreConformance):
    @pytest.fixture
    def world(self) -> World:
        plan = cycle([Fault.REFUSED, Fault.DELAYED, Fault.UNKNOWN_UNDONE, Fault.NONE])
        return _world(lambda store: InsistentStore(FaultyStore(store, plan)))
