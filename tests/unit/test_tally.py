"""The tally: what is added up, when it is handed over, and what becomes of it when the store fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.domain.errors import OutcomeUnknown, Overloaded, SqsliteError, StoreUnavailable
from sqslite.domain.leases import Nack
from sqslite.domain.limits import ms
from sqslite.domain.ports import Totals
from sqslite.domain.tally import FLUSH_EVERY_MS, Tally
from tests.unit.node import message, node


class KeptTotals:
    """A QueueStats that keeps totals, counts the calls, and fails as planned."""

    def __init__(self) -> None:
        self.kept: dict[int, Totals] = {}
        self.handed_over: list[dict[int, Totals]] = []
        self.errors: list[Exception] = []

    async def add(self, totals: Mapping[int, Totals]) -> None:
        self.handed_over.append(dict(totals))
        if self.errors:
            raise self.errors.pop(0)
        for partition_id, more in totals.items():
            old = self.kept.get(partition_id, Totals())
            self.kept[partition_id] = Totals(
                enqueued=old.enqueued + more.enqueued,
                received=old.received + more.received,
                acked=old.acked + more.acked,
                dead_lettered=old.dead_lettered + more.dead_lettered,
            )

    async def totals(self, partition_ids: Sequence[int]) -> list[Totals]:
        return [self.kept.get(partition_id, Totals()) for partition_id in partition_ids]


class Counting:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.stats = KeptTotals()
        self.tally = Tally(self.stats, self.clock)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.tally.run())
        await self.clock.advance(ms(0))
        yield
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def counting() -> Counting:
    return Counting()


async def test_counts_are_added_up_by_partition_and_handed_over_once(counting: Counting):
    counting.tally.add(1, enqueued=2)
    counting.tally.add(2, received=5)
    counting.tally.add(1, enqueued=1, received=1, acked=1, dead_lettered=1)
    await counting.tally.flush()
    await counting.tally.flush()
    first = Totals(enqueued=3, received=1, acked=1, dead_lettered=1)
    assert counting.stats.handed_over == [{1: first, 2: Totals(received=5)}]


async def test_totals_are_what_the_store_has_and_what_is_pending_here(counting: Counting):
    counting.stats.kept[1] = Totals(enqueued=10, received=20, acked=30, dead_lettered=40)
    counting.tally.add(1, enqueued=1, received=2, acked=3, dead_lettered=4)
    sum_of_both = Totals(enqueued=11, received=22, acked=33, dead_lettered=44)
    assert await counting.tally.totals(1) == sum_of_both
    assert counting.stats.kept[1].enqueued == 10
    await counting.tally.flush()
    assert await counting.tally.totals(1) == sum_of_both == counting.stats.kept[1]
    assert await counting.tally.totals(2) == Totals()


async def test_to_ask_for_totals_makes_nothing_to_hand_over(counting: Counting):
    await counting.tally.totals(7)
    await counting.tally.flush()
    assert counting.stats.handed_over == []


@pytest.mark.parametrize("error", [StoreUnavailable("away"), Overloaded("busy")])
async def test_what_the_store_refuses_is_kept_for_the_next_time(counting: Counting, error: SqsliteError):
    counting.tally.add(1, enqueued=1, received=2, acked=3, dead_lettered=4)
    counting.stats.errors.append(error)
    with pytest.raises(type(error)):
        await counting.tally.flush()
    counting.tally.add(1, enqueued=10)
    await counting.tally.flush()
    assert counting.stats.kept == {1: Totals(enqueued=11, received=2, acked=3, dead_lettered=4)}


async def test_what_was_counted_while_the_store_refused_is_not_lost(counting: Counting):
    class Slow(KeptTotals):
        async def add(self, totals: Mapping[int, Totals]) -> None:
            counting.tally.add(1, enqueued=10)
            raise StoreUnavailable("away")

    slow = Slow()
    counting.tally = Tally(slow, counting.clock)
    counting.tally.add(1, enqueued=1)
    with pytest.raises(StoreUnavailable):
        await counting.tally.flush()
    assert (await counting.tally.totals(1)).enqueued == 11


async def test_what_may_have_been_written_is_not_handed_over_twice(counting: Counting):
    counting.tally.add(1, enqueued=1)
    counting.stats.errors.append(OutcomeUnknown("lost"))
    with pytest.raises(OutcomeUnknown):
        await counting.tally.flush()
    await counting.tally.flush()
    assert len(counting.stats.handed_over) == 1


async def test_counts_are_handed_over_once_a_second_and_not_without_need(counting: Counting):
    async with counting.running():
        counting.tally.add(1, enqueued=1)
        await counting.clock.advance(ms(FLUSH_EVERY_MS - 1))
        assert counting.stats.handed_over == []
        counting.tally.add(1, enqueued=1)
        await counting.clock.advance(ms(1))
        assert counting.stats.handed_over == [{1: Totals(enqueued=2)}]
        await counting.clock.advance(ms(60_000))
        assert len(counting.stats.handed_over) == 1


async def test_the_counting_outlives_every_failure(counting: Counting):
    counting.stats.errors += [StoreUnavailable("away"), ZeroDivisionError("a bug"), OutcomeUnknown("lost")]
    async with counting.running():
        for _ in range(4):
            counting.tally.add(1, enqueued=1)
            await counting.clock.advance(ms(FLUSH_EVERY_MS))
    # The first came with the second, which a bug took along; the third may or may not be there.
    assert [totals[1].enqueued for totals in counting.stats.handed_over] == [1, 2, 1, 1]
    assert counting.stats.kept == {1: Totals(enqueued=1)}


async def test_two_nodes_add_to_the_same_totals():
    own = node()
    other = own.neighbour()
    ids = await own.enqueue(message(), message(max_retries=1, dlq="dead"), message())
    first, second = await other.service.claim("orders", 2)
    assert await own.service.ack([first.receipt]) == [None]
    assert await other.service.nack([Nack(second.receipt)]) == [None]
    assert len(ids) == 3
    # Each sees its own counts at once, and the other's when they were handed over.
    assert (await own.inspection.stats("orders"))[1] == Totals(enqueued=3, acked=1)
    assert (await other.inspection.stats("orders"))[1] == Totals(received=2, dead_lettered=1)
    await own.tally.flush()
    await other.tally.flush()
    for each in (own, other):
        assert (await each.inspection.stats("orders"))[1] == Totals(enqueued=3, received=2, acked=1, dead_lettered=1)
    assert (await own.inspection.stats("dead"))[1] == Totals()


async def test_what_failed_is_not_counted():
    own = node()
    await own.enqueue()
    held = await own.claim_one()
    await own.service.ack([held.receipt])
    await own.service.ack([held.receipt, held.receipt])
    await own.service.ack_unproven([held.message.id])
    await own.service.enqueue("orders", [message(b"null")])
    assert await own.service.claim("orders") == []
    assert (await own.inspection.stats("orders"))[1] == Totals(enqueued=1, received=1, acked=1)


async def test_a_requeued_message_is_received_again_and_not_dead_lettered():
    own = node()
    await own.enqueue()
    for _ in range(3):
        await own.service.nack([Nack((await own.claim_one()).receipt)])
    assert (await own.inspection.stats("orders"))[1] == Totals(enqueued=1, received=3)


async def test_an_ack_of_one_message_twice_in_a_call_counts_once():
    own = node()
    await own.enqueue()
    receipt = (await own.claim_one()).receipt
    assert await own.service.ack([receipt, receipt]) == [None, None]
    assert (await own.inspection.stats("orders"))[1].acked == 1
    assert len(own.observer.lease_ages_ms) == 1
