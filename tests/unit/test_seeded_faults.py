"""Faults by chance: the same for the same seed, each what it says, and none for the store's own upkeep."""

import asyncio
from datetime import timedelta

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.faults import Chances, FaultRates
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.adapters.stores.seeded_faults import SeededFaultyStore
from sqslite.domain.errors import InvalidValue, OutcomeUnknown, SqsliteError, StoreUnavailable
from tests.conformance.world import World


def world(**rates: float) -> World:
    clock, chances = VirtualClock(), Chances()
    backend = MemoryBackend(clock)
    chances.set_rates(FaultRates(**rates))
    return World(backend, clock, SeededFaultyStore(backend.store, clock, chances))


async def outcomes(seed: int, **rates: float) -> list[str]:
    there = world(seed=seed, **rates)
    queue = await there.queue()
    results = await asyncio.gather(*(there.enqueue(queue) for _ in range(40)), return_exceptions=True)
    return [type(result).__name__ for result in results]


async def test_the_same_seed_gives_the_same_faults_and_another_seed_others():
    assert await outcomes(1, refused=0.5) == await outcomes(1, refused=0.5)
    assert await outcomes(1, refused=0.5) != await outcomes(2, refused=0.5)
    assert set(await outcomes(1, refused=0.5)) == {"StoreUnavailable", "list"}


@pytest.mark.parametrize(
    ("rate", "error", "kept"),
    [("refused", StoreUnavailable, 0), ("lost_request", OutcomeUnknown, 0), ("lost_response", OutcomeUnknown, 1)],
)
async def test_a_fault_that_is_certain_happens_and_is_what_it_says(rate: str, error: type[SqsliteError], kept: int):
    there = world(**{rate: 1})
    queue = await there.queue()
    with pytest.raises(error):
        await there.enqueue(queue)
    assert len(await there.messages(queue)) == kept


async def test_without_rates_nothing_happens():
    assert set(await outcomes(1)) == {"list"}


async def test_upkeep_is_left_in_peace():
    there = world(refused=1)
    assert (await there.store.expired(10)).leases == []
    assert await there.store.expire(10) == 0


async def test_a_duplicate_is_there_for_the_next_receive_at_once_and_has_a_receipt_of_its_own():
    there = world(duplicate_delivery=1)
    queue = await there.queue()
    await there.enqueue(queue)
    (first,) = await there.claim(queue)
    (second,) = await there.claim(queue)
    assert (second.message.id, second.message.delivery_count) == (first.message.id, 2)
    assert second.receipt != first.receipt


async def test_a_delayed_ack_is_done_when_its_time_has_come():
    there = world(delayed_ack=1, delay_ms=500)
    queue = await there.queue()
    await there.enqueue(queue)
    (delivery,) = await there.claim(queue)
    ack = asyncio.create_task(there.store.ack(queue.partition_id, [delivery.receipt]))
    await asyncio.sleep(0)
    await there.clock.advance(timedelta(milliseconds=499))
    assert len(await there.messages(queue)) == 1
    await there.clock.advance(timedelta(milliseconds=1))
    await ack
    assert await there.messages(queue) == []


@pytest.mark.parametrize(
    ("field", "value"), [("refused", 1.1), ("lost_response", -0.1), ("delayed_ack", 2), ("delay_ms", 60_001)]
)
def test_rates_have_limits(field: str, value: float):
    with pytest.raises(InvalidValue, match=f"^{field} must be 0 to "):
        Chances().set_rates(FaultRates(**{field: value}))
