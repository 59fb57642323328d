"""The catalog and the statistics."""

import asyncio

import pytest
from msgspec.structs import replace

from sqslite.domain.errors import InvalidValue, QueueConflict
from sqslite.domain.limits import DELETED_KNOWN_MS
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
    in_flight_max=7,
    redrive_allow=["orders", "returns"],
    dedup_scope="group",
    dedup_by_content=True,
    tags={"team": "billing é", "": ""},
    annotations={"Policy": '{"é": "\n"}', "k": ""},
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

    async def test_a_queue_tells_when_it_was_created_changed_and_purged(self, world: World):
        created_at = world.now
        made = await world.queue()
        assert (made.created_at, made.changed_at, made.purged_at) == (created_at, created_at, None)
        world.advance(1_000)
        changed_at = world.now
        changed, _ = await world.catalog.put("orders", SETTINGS)
        assert (changed.created_at, changed.changed_at, changed.purged_at) == (created_at, changed_at, None)
        world.advance(1_000)
        assert await world.catalog.put("orders", SETTINGS) == (changed, False)
        assert await world.catalog.pause("orders", True) == replace(changed, paused=True)
        purged = await world.catalog.renew("orders")
        assert purged == replace(changed, paused=True, purged_at=world.now, partition_id=purged.partition_id)
        world.advance(1_000)
        again = await world.catalog.renew("orders")
        assert again is not None
        assert (again.created_at, again.changed_at, again.purged_at) == (created_at, changed_at, world.now)
        assert await world.catalog.find("orders") == again
        assert await world.catalog.page("", 10) == [again]
        (message_id,) = await world.enqueue(again)
        assert (await world.store_sight(message_id)).queue == again

    async def test_a_deleted_queue_is_known_for_some_minutes(self, world: World):
        await world.queue()
        assert await world.catalog.deleted_at("orders") is None
        first_at = world.now
        await world.catalog.drop("orders")
        assert await world.catalog.drop("orders") is False
        world.advance(1_000)
        assert await world.catalog.deleted_at("orders") == first_at
        anew = await world.queue()
        assert anew.created_at == world.now
        assert await world.catalog.deleted_at("orders") == first_at
        await world.catalog.renew("orders")
        assert await world.catalog.deleted_at("orders") == first_at
        last_at = world.now
        await world.catalog.drop("orders")
        world.advance(DELETED_KNOWN_MS - 1)
        while await world.store.tidy(10):
            pass
        assert await world.catalog.deleted_at("orders") == last_at
        world.advance(1)
        assert await world.catalog.deleted_at("orders") is None
        assert await world.store.tidy(10) == 1

    async def test_the_sources_of_a_dead_letter_queue_are_listed_a_page_at_a_time(self, world: World):
        for name in ("b", "a", "C", "c.1"):
            await world.queue_with(name, dlq="dead")
        for name, dlq in (("other", "dead.1"), ("none", None), ("dead", "deader")):
            await world.queue_with(name, dlq=dlq)
        assert [queue.name for queue in await world.catalog.sources("dead", "", 3)] == ["C", "a", "b"]
        assert [queue.name for queue in await world.catalog.sources("dead", "b", 3)] == ["c.1"]
        assert await world.catalog.sources("deader", "", 10) == [await world.catalog.find("dead")]
        await world.catalog.put("a", QueueSettings())
        await world.catalog.drop("b")
        await world.catalog.put("none", QueueSettings(dlq="dead"))
        assert [queue.name for queue in await world.catalog.sources("dead", "", 10)] == ["C", "c.1", "none"]
        assert await world.catalog.sources("nobody", "", 10) == []

    async def test_a_change_keeps_what_others_changed_at_that_moment(self, world: World):
        await world.queue()

        def tag(key: str):
            return lambda settings: replace(settings, tags={**settings.tags, key: "v"})

        await asyncio.gather(*[world.catalog.change("orders", tag(str(n))) for n in range(8)])
        changed = await world.catalog.find("orders")
        assert changed.settings.tags == {str(n): "v" for n in range(8)}
        world.advance(1_000)
        assert await world.catalog.change("orders", lambda settings: settings) == changed
        again = await world.catalog.change("orders", lambda settings: replace(settings, tags={}))
        assert (again.settings, again.changed_at) == (QueueSettings(), world.now)
        assert await world.catalog.find("orders") == again

    async def test_a_change_that_cannot_be_changes_nothing(self, world: World):
        queue = await world.queue()

        def refuse(settings: QueueSettings) -> QueueSettings:
            raise InvalidValue("tags", "x", "others")

        with pytest.raises(InvalidValue):
            await world.catalog.change("orders", refuse)
        with pytest.raises(QueueConflict):
            await world.catalog.change("orders", lambda settings: replace(settings, fifo=True))
        assert await world.catalog.find("orders") == queue
        assert await world.catalog.change("nobody", refuse) is None

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
