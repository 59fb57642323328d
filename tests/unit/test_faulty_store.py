"""The faulty store: each fault is what it says, and after the plan there is none."""

import asyncio
import inspect

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.domain.errors import OutcomeUnknown, StoreUnavailable
from sqslite.domain.ports import Store
from tests.conformance.world import World, message


def _world(*faults: Fault) -> World:
    clock = VirtualClock()
    backend = MemoryBackend(clock)
    return World(backend, clock, FaultyStore(backend.store, iter(faults)))


@pytest.mark.parametrize(
    ("fault", "error", "kept"),
    [
        (Fault.REFUSED, StoreUnavailable, 0),
        (Fault.UNKNOWN_UNDONE, OutcomeUnknown, 0),
        (Fault.UNKNOWN_DONE, OutcomeUnknown, 1),
    ],
)
async def test_a_fault_raises_its_error_and_does_what_it_says(fault: Fault, error: type[Exception], kept: int):
    world = _world(fault)
    queue = await world.queue()
    with pytest.raises(error, match=r"enqueue .* on purpose"):
        await world.enqueue(queue)
    assert len(await world.messages(queue)) == kept


async def test_after_the_plan_calls_go_through():
    world = _world(Fault.NONE, Fault.REFUSED)
    queue = await world.queue()
    await world.enqueue(queue)
    with pytest.raises(StoreUnavailable):
        await world.enqueue(queue)
    await world.enqueue(queue)
    assert len(await world.messages(queue)) == 2


async def test_a_delayed_call_lets_others_go_first():
    world = _world(Fault.DELAYED)
    queue = await world.queue()
    await asyncio.gather(world.enqueue(queue, message(b"1")), world.enqueue(queue, message(b"2")))
    assert [m.body for m in await world.messages(queue)] == [b"2", b"1"]


async def test_every_method_of_the_port_passes_through_the_one_place():
    methods = [name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")]
    assert len(methods) == 13
    clock = VirtualClock()
    store = FaultyStore(MemoryBackend(clock).store, iter([Fault.REFUSED] * len(methods)))
    for name in methods:
        arguments = [0 for _ in inspect.signature(getattr(InterceptedStore, name)).parameters][1:]
        with pytest.raises(StoreUnavailable, match=f"^{name} was refused"):
            await getattr(store, name)(*arguments)
