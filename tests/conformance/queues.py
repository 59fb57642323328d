"""The catalog and the statistics."""

import asyncio

from sqslite.domain.ports import Depth
from sqslite.domain.queues import QueueSettings
from sqslite.domain.retry import Backoff, BackoffKind
from tests.conformance.world import World, message

SETTINGS = QueueSettings(
    visibility_ms=5_000,
    delay_ms=250,
    max_retries=3,
    dlq="dead",
    receive_wait_ms=10_000,
    body_bytes_max=1_024,
    tags={"team": "billing é", "": ""},
    backoff=Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=250, factor=1.5, max_ms=9_000, jitter=0.25),
)


class Queues:
    async def test_an_unknown_queue_is_none(self, world: World):
        assert await world.catalog.find("nobody") is None

    async def test_a_queue_keeps_its_settings(self, world: World):
        made = await world.catalog.ensure("orders", SETTINGS)
        assert (made.name, made.settings) == ("orders", SETTINGS)
        assert await world.catalog.find("orders") == made

    async def test_ensuring_a_queue_that_is_there_leaves_it_as_it_is(self, world: World):
        made = await world.catalog.ensure("orders", SETTINGS)
        assert await world.catalog.ensure("orders", QueueSettings()) == made

    async def test_putting_a_queue_creates_it_or_changes_its_settings(self, world: World):
        made, created = await world.catalog.put("orders", QueueSettings(max_retries=2))
        assert created
        changed, created = await world.catalog.put("orders", SETTINGS)
        assert (changed.partition_id, changed.settings, created) == (made.partition_id, SETTINGS, False)
        assert await world.catalog.find("orders") == changed

    async def test_racing_puts_create_once(self, world: World):
        puts = await asyncio.gather(*[world.catalog.put("orders", SETTINGS) for _ in range(8)])
        assert [created for _, created in puts].count(True) == 1

    async def test_queues_are_listed_by_prefix(self, world: World):
        for name in ("a", "b.1", "b.2", "b.3", "B.4", "b_5", "c"):
            await world.queue(name)
        assert [queue.name for queue in await world.catalog.page("", 10, "b.")] == ["b.1", "b.2", "b.3"]
        assert [queue.name for queue in await world.catalog.page("b.1", 1, "b.")] == ["b.2"]
        assert await world.catalog.page("", 10, "%") == []

    async def test_names_are_told_apart_to_the_letter(self, world: World):
        partitions = {(await world.queue(name)).partition_id for name in ("a", "A", "a.", "a-", "a_")}
        assert len(partitions) == 5
        assert min(partitions) > 0

    async def test_racing_creators_get_the_same_queue(self, world: World):
        made = await asyncio.gather(*[world.queue("orders") for _ in range(8)])
        assert len({queue.partition_id for queue in made}) == 1

    async def test_queues_are_listed_by_name_a_page_at_a_time(self, world: World):
        for name in ("b", "a", "C", "c.1", "c_1", "c-1"):
            await world.queue(name)
        names, after = [], ""
        while page := await world.catalog.page(after, 2):
            assert len(page) <= 2
            names += [queue.name for queue in page]
            after = names[-1]
        assert names == sorted(["b", "a", "C", "c.1", "c_1", "c-1"])

    async def test_a_listed_queue_is_whole(self, world: World):
        made = await world.catalog.ensure("orders", SETTINGS)
        assert await world.catalog.page("", 10) == [made]

    async def test_depths_count_by_state(self, world: World):
        queue, empty = await world.queue(), await world.queue("empty")
        await world.enqueue(queue, *[message() for _ in range(4)], message(delay_ms=60_000))
        world.advance(1_500)
        await world.claim_one(queue)
        depths = await world.stats.depths([queue, empty])
        assert depths == [
            Depth(queue="orders", ready=3, delayed=1, in_flight=1, oldest_ready_age_ms=1_500),
            Depth(queue="empty", ready=0, delayed=0, in_flight=0, oldest_ready_age_ms=None),
        ]
        assert await world.stats.depths([]) == []

    async def test_the_oldest_ready_age_counts_from_when_it_became_claimable(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(delay_ms=1_000))
        world.advance(1_250)
        (depth,) = await world.stats.depths([queue])
        assert depth.oldest_ready_age_ms == 250

    async def test_a_backend_answers_a_ping(self, world: World):
        await world.backend.ping()

    async def test_migrating_again_changes_nothing(self, world: World):
        await world.queue()
        assert await world.backend.migrate() == []
        assert await world.catalog.find("orders") is not None
