"""Claims with an attempt_id: a receiver that lost an answer asks again and is handed the same deliveries."""

import asyncio
from collections.abc import Iterable

import pytest

from sqslite.domain.limits import ATTEMPT_MS, ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Extension
from sqslite.domain.queues import QueueSettings
from tests.conformance.world import World, message

LONG_MS = ATTEMPT_MS * 2


class Attempts:
    async def test_a_repeated_claim_is_answered_with_the_same_deliveries(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, *[message(b"%d" % n, trace_id=f"t{n}") for n in range(4)])
        first = await world.claim(queue, 2, attempt_id="one")
        world.advance(1_000)
        assert await world.claim(queue, 2, attempt_id="one") == first
        assert [delivery.message.delivery_count for delivery in first] == [1, 1]

    async def test_a_repeated_claim_leases_nothing_though_it_asks_for_more(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, *[message() for _ in range(4)])
        first = await world.claim(queue, 2, attempt_id="one")
        assert await world.claim(queue, 10, attempt_id="one") == first
        (depth,) = await world.stats.depths([queue])
        assert (depth.ready, depth.in_flight) == (2, 2)
        assert _ids(await world.claim(queue)) == ids[2:]

    async def test_a_paused_queue_repeats_nothing(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        first = await world.claim(queue, attempt_id="one")
        await world.catalog.pause("orders", True)
        assert await world.claim(queue, attempt_id="one") == []
        await world.catalog.pause("orders", False)
        assert await world.claim(queue, attempt_id="one") == first

    async def test_the_receipts_of_a_repeated_claim_are_good(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        await world.claim(queue, attempt_id="one")
        (again,) = await world.claim(queue, attempt_id="one")
        (acked,) = await world.ack(again.receipt)
        assert acked.claimed_at == world.now
        assert await world.messages(queue) == []

    async def test_a_repeated_claim_gives_only_what_is_leased_still(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, *[message() for _ in range(4)])
        short = await world.claim(queue, 3, 1_000, attempt_id="one")
        acked, held, settled = short
        await world.ack(acked.receipt)
        await world.store.extend(queue.partition_id, [Extension(held.receipt, 60_000)])
        world.advance(1_000)
        await world.requeue_expired(after_ms=1_000)
        (again,) = await world.claim(queue, 3, attempt_id="one")
        assert again.receipt == held.receipt
        assert settled.message.id not in _ids([again])

    async def test_a_claim_whose_leases_are_all_gone_is_made_anew(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, *[message() for _ in range(3)])
        acked, settled = await world.claim(queue, 2, 1_000, attempt_id="one")
        await world.ack(acked.receipt)
        world.advance(1_000)
        await world.requeue_expired()
        new = await world.claim(queue, attempt_id="one")
        assert _ids(new) == [ids[2], settled.message.id]
        assert [d.message.delivery_count for d in new] == [1, 2]
        assert settled.receipt not in [d.receipt for d in new]
        assert await world.claim(queue, attempt_id="one") == new

    async def test_what_another_claim_leased_since_is_not_given_again(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        await world.claim(queue, 1, 1_000, attempt_id="one")
        world.advance(1_000)
        await world.requeue_expired()
        for attempt_id in (None, "other"):
            await world.claim(queue, 1, 1_000, attempt_id=attempt_id)
            assert await world.claim(queue, attempt_id="one") == []
            world.advance(1_000)
            await world.requeue_expired()

    async def test_an_attempt_is_forgotten_after_a_while(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, message(), message())
        first = await world.claim(queue, 1, LONG_MS, attempt_id="one")
        world.advance(ATTEMPT_MS - 1)
        assert await world.claim(queue, 1, LONG_MS, attempt_id="one") == first
        world.advance(1)
        assert _ids(await world.claim(queue, 1, LONG_MS, attempt_id="one")) == [ids[1]]

    async def test_a_repetition_does_not_make_an_attempt_last_longer(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        for _ in range(2):
            await world.claim(queue, 1, LONG_MS, attempt_id="one")
            world.advance(ATTEMPT_MS // 2)
        assert await world.claim(queue, 1, LONG_MS, attempt_id="one") == []

    async def test_an_attempt_that_got_nothing_may_get_something_later(self, world: World):
        queue = await world.queue()
        assert await world.claim(queue, attempt_id="one") == []
        ids = await world.enqueue(queue)
        assert _ids(await world.claim(queue, attempt_id="one")) == ids

    async def test_other_attempts_and_claims_without_one_get_other_messages(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, *[message() for _ in range(4)])
        attempts = ["one", "One", None, None]
        assert [_ids(await world.claim(queue, 1, attempt_id=one)) for one in attempts] == [[one] for one in ids]

    async def test_the_same_attempt_on_another_queue_is_another_one(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        of_one, of_other = await world.enqueue(one), await world.enqueue(other)
        assert _ids(await world.claim(one, attempt_id="same")) == of_one
        assert _ids(await world.claim(other, attempt_id="same")) == of_other
        assert _ids(await world.claim(one, attempt_id="same")) == of_one

    async def test_a_lease_that_was_extended_is_given_as_it_is(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue)
        (first,) = await world.claim(queue, 1, 1_000, attempt_id="one")
        await world.store.extend(queue.partition_id, [Extension(first.receipt, 60_000)])
        until = world.now + ms(60_000)
        world.advance(30_000)
        (again,) = await world.claim(queue, 1, 1_000, attempt_id="one")
        assert (again.receipt, again.message.lease_until) == (first.receipt, until)

    @pytest.mark.parametrize("settings", [QueueSettings(), QueueSettings(fifo=True), QueueSettings(fair=True)])
    async def test_concurrent_claims_of_an_attempt_lease_once(self, world: World, settings: QueueSettings):
        queue = await world.queue(settings=settings)
        await world.enqueue(queue, *[message(group_id=f"g{n % 5}") for n in range(20)])
        claims = await asyncio.gather(*[world.claim(queue, 3, attempt_id="one") for _ in range(6)])
        leased = {message_id for claim in claims for message_id in _ids(claim)}
        assert len(leased) == 3
        (depth,) = await world.stats.depths([queue])
        assert depth.in_flight == 3

    @pytest.mark.parametrize("settings", [QueueSettings(fifo=True), QueueSettings(fair=True)])
    async def test_an_attempt_on_groups_is_answered_with_the_same_deliveries(
        self, world: World, settings: QueueSettings
    ):
        queue = await world.queue(settings=settings)
        await world.enqueue(queue, *[message(group_id=group) for group in "aabbcc"])
        first = await world.claim(queue, 4, attempt_id="one")
        assert len(first) == 4
        assert await world.claim(queue, 4, attempt_id="one") == first
        await world.ack(first[1].receipt)
        assert await world.claim(queue, 4, attempt_id="one") == [first[0], *first[2:]]


def _ids(deliveries: Iterable[Delivery]) -> list[int]:
    return [delivery.message.id for delivery in deliveries]
