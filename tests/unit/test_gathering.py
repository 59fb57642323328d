"""Gathering: batches within limits, answers to whom they belong, and nobody who waits for ever."""

import asyncio
from collections.abc import Sequence

import pytest

from sqslite.adapters import gathering
from sqslite.adapters.gathering import CALLS_PER_BATCH_MAX, FURTHER_LANE_CALLS, WEIGHT_PER_BATCH_MAX, Gathering
from sqslite.domain.errors import OutcomeUnknown, Overloaded
from tests.unit.at_once import begun, turns


async def _together(sizes: list[int], key: object, calls: Sequence[int]) -> Sequence[int]:
    sizes.append(len(calls))
    await asyncio.sleep(0)
    return calls


async def test_a_batch_has_no_more_calls_than_the_limit():
    sizes: list[int] = []
    gather: Gathering[int, int] = Gathering(lambda key, calls: _together(sizes, key, calls), lanes=1)
    count = 2 * CALLS_PER_BATCH_MAX + 2
    assert await asyncio.gather(*[gather.call("k", n, 0) for n in range(count)]) == list(range(count))
    assert sizes == [CALLS_PER_BATCH_MAX, CALLS_PER_BATCH_MAX, 2]


async def test_a_batch_weighs_no_more_than_the_limit_unless_one_call_does():
    sizes: list[int] = []
    gather: Gathering[int, int] = Gathering(lambda key, calls: _together(sizes, key, calls), lanes=1)
    half = WEIGHT_PER_BATCH_MAX // 2
    weights = [0, half, half, 1, 2 * WEIGHT_PER_BATCH_MAX, half, half + 1]
    assert await asyncio.gather(*[gather.call("k", n, weight) for n, weight in enumerate(weights)]) == list(range(7))
    assert sizes == [3, 1, 1, 1, 1]


async def test_who_would_have_to_wait_behind_too_many_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gathering, "CALLS_WAITING_MAX", 3)
    gate = asyncio.Event()

    async def together(_: object, calls: Sequence[int]) -> Sequence[int]:
        await gate.wait()
        return calls

    gather: Gathering[int, int] = Gathering(together, lanes=1)
    tasks = await begun(gather.call("k", 0, 0))
    tasks += await begun(*[gather.call("k", n, 0) for n in range(1, 4)])
    with pytest.raises(Overloaded):
        await gather.call("k", 4, 0)
    # A key whose lane is free makes nobody wait.
    tasks += await begun(gather.call("other", 5, 0))
    # Who goes away makes room.
    tasks.pop(1).cancel()
    tasks += await begun(gather.call("k", 6, 0))
    with pytest.raises(Overloaded):
        await gather.call("k", 7, 0)
    gate.set()
    assert await asyncio.gather(*tasks) == [0, 2, 3, 5, 6]
    assert await gather.call("k", 8, 0) == 8


@pytest.mark.parametrize(("calls", "lanes"), [(FURTHER_LANE_CALLS, 1), (FURTHER_LANE_CALLS + 1, 2), (500, 2)])
async def test_a_second_batch_goes_beside_the_first_once_enough_calls_wait(calls: int, lanes: int):
    under_way = most = 0
    gate = asyncio.Event()

    async def together(_: object, calls: Sequence[int]) -> Sequence[int]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return calls

    gather: Gathering[int, int] = Gathering(together)
    tasks = await begun(*[gather.call("k", 0, WEIGHT_PER_BATCH_MAX)])
    tasks += await begun(*[gather.call("k", n, WEIGHT_PER_BATCH_MAX) for n in range(1, calls)])
    gate.set()
    assert await asyncio.gather(*tasks) == list(range(calls))
    assert most == lanes <= gathering.LANES
    assert not gather._busy
    assert not gather._waiting


async def test_calls_that_come_at_the_same_time_go_together():
    sizes: list[int] = []
    gather: Gathering[int, int] = Gathering(lambda key, calls: _together(sizes, key, calls))
    assert await asyncio.gather(gather.call("k", 0, 0), gather.call("k", 1, 0), gather.call("l", 2, 0)) == [0, 1, 2]
    assert sizes == [2, 1]


async def test_nobody_waits_for_ever_where_a_batch_is_cancelled():
    begun = asyncio.Event()

    async def together(_: object, calls: Sequence[int]) -> Sequence[int]:
        begun.set()
        raise asyncio.CancelledError

    gather: Gathering[int, int] = Gathering(together, lanes=1)
    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(gather.call("k", 0, 0), 5)
    assert begun.is_set()


async def test_an_answer_that_a_cancellation_overtakes_is_given_back():
    given_back: list[int] = []

    async def unclaimed(answer: int) -> None:
        given_back.append(answer)

    async def together(_: object, calls: Sequence[int]) -> Sequence[int]:
        # Comes behind the answer and before the caller has seen it.
        asyncio.get_running_loop().call_soon(lambda: caller.cancel())
        return calls

    gather: Gathering[int, int] = Gathering(together, lanes=1, unclaimed=unclaimed)
    caller = asyncio.create_task(gather.call("k", 7, 0))
    await turns()
    assert caller.cancelled()
    assert given_back == [7]
