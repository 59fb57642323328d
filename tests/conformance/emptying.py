"""Purging, deleting and pausing queues: one cut, and nothing of what came after it is touched."""

import asyncio

import pytest

from sqslite.domain.errors import QueueConflict
from sqslite.domain.leases import Acked, Refusal
from sqslite.domain.limits import REDRIVE_KEPT_MS, RETENTION_FOREVER, ms
from sqslite.domain.ports import Extension, Held, MoveToDlq, PartitionDropped, RequeueAt, Totals
from sqslite.domain.queues import QueueSettings
from tests.conformance.tasks import COMPLETED, begun_task, taken_task
from tests.conformance.world import World, message

LATE_TRANSACTIONS_MS = 120_000


class Emptying:
    @pytest.mark.parametrize("settings", [{}, {"fair": True}, {"fifo": True}])
    async def test_a_renewed_queue_is_empty_and_what_comes_then_stays(self, world: World, settings):
        old = await world.queue_with(**settings)
        await world.enqueue(old, message(group_id="g"), message(delay_ms=9_000, group_id="h"), message(group_id="g"))
        await world.claim(old, 1)
        new = await world.catalog.renew("orders")
        assert new is not None
        assert new.partition_id != old.partition_id
        assert (new.name, new.settings) == ("orders", old.settings)
        assert await world.catalog.find("orders") == new
        assert await world.messages(new) == []
        ids = await world.enqueue(new, message(group_id="g"))
        await self._tidied(world)
        assert [d.message.id for d in await world.claim(new)] == ids

    async def test_a_queue_that_is_not_there_cannot_be_renewed_dropped_or_paused(self, world: World):
        assert await world.catalog.renew("nobody") is None
        assert await world.catalog.drop("nobody") is False
        assert await world.catalog.pause("nobody", True) is None

    @pytest.mark.parametrize("grouped", [False, True])
    async def test_an_enqueue_to_the_old_partition_is_refused(self, world: World, grouped: bool):
        old = await world.queue_with(fifo=grouped)
        await world.catalog.renew("orders")
        with pytest.raises(PartitionDropped):
            await world.enqueue(old, message(group_id="g"))
        with pytest.raises(PartitionDropped):
            await world.enqueue(old, message(group_id="g", dedup_id="d"))

    @pytest.mark.parametrize("settings", [{}, {"fair": True}, {"fifo": True}])
    async def test_a_claim_on_the_old_partition_gives_nothing(self, world: World, settings):
        old = await world.queue_with(**settings)
        await world.enqueue(old, message(group_id="g"))
        await world.catalog.renew("orders")
        assert await world.claim(old) == []

    async def test_receipts_of_purged_messages_touch_nothing_new(self, world: World):
        old = await world.queue()
        await world.enqueue(old)
        delivery = await world.claim_one(old)
        new = await world.catalog.renew("orders")
        ids = await world.enqueue(new)
        await world.ack(delivery.receipt)
        assert [m.id for m in await world.messages(new)] == ids

    @pytest.mark.parametrize("settings", [{}, {"fair": True}, {"fifo": True}])
    @pytest.mark.parametrize("emptied", ["renew", "drop"])
    async def test_what_was_purged_is_gone_for_whoever_held_it(self, world: World, settings, emptied: str):
        old = await world.queue_with(**settings)
        ids = await world.enqueue(old, message(group_id="g"), message(group_id="h"))
        first, second = [delivery.receipt for delivery in await world.claim(old)]
        held = await world.store.held(old.partition_id, [first])
        await getattr(world.catalog, emptied)("orders")
        gone = [Refusal.MISSING, Refusal.MISSING]
        assert await world.store.held(old.partition_id, [first, second]) == Held(world.now, list(gone))
        extensions = [Extension(first, 60_000), Extension(second, 60_000)]
        assert await world.store.extend(old.partition_id, extensions) == gone
        assert await world.store.settle(old.partition_id, [RequeueAt(held.leases[0], world.now)]) == [False]
        assert await world.ack(first, second) == gone
        assert await world.store.ack_unproven(ids) == gone

    async def test_leases_of_purged_messages_are_settled_no_more(self, world: World):
        old = await world.queue()
        await world.enqueue(old)
        await world.claim_one(old, 1_000)
        await world.catalog.renew("orders")
        world.advance(1_000)
        assert (await world.store.expired(10)).leases == []
        assert (await world.store.next_due()).at is None

    async def test_totals_outlive_a_purge(self, world: World):
        old = await world.queue()
        await world.stats.add({old.partition_id: Totals(enqueued=3)})
        new = await world.catalog.renew("orders")
        assert await world.stats.totals([new.partition_id]) == [Totals(enqueued=3)]

    async def test_a_dropped_queue_is_gone_and_made_anew_empty(self, world: World):
        old = await world.queue_with(max_retries=2)
        await world.enqueue(old)
        await world.stats.add({old.partition_id: Totals(enqueued=1)})
        assert await world.catalog.drop("orders") is True
        assert await world.catalog.find("orders") is None
        assert await world.catalog.page("", 10) == []
        with pytest.raises(PartitionDropped):
            await world.enqueue(old)
        new = await world.queue()
        assert new.partition_id != old.partition_id
        assert new.settings == QueueSettings()
        assert await world.messages(new) == await world.claim(new) == []
        assert await world.stats.totals([new.partition_id]) == [Totals()]

    async def test_tidying_deletes_what_was_dropped_in_pages_and_nothing_else(self, world: World):
        old, other = await world.queue(), await world.queue("other")
        gone = await world.enqueue(old, *[message(dedup_id=str(n)) for n in range(5)])
        await world.claim(old, 2)
        kept = await world.enqueue(other, message(), message(delay_ms=1_000))
        assert await world.store.tidy(100) == 0
        await world.catalog.renew("orders")
        assert 1 <= await world.store.tidy(3) <= 3
        await self._tidied(world)
        assert await world.store.ack_unproven(gone) == [Refusal.MISSING] * 5
        assert [m.id for m in await world.messages(other)] == kept

    async def test_tidying_forgets_past_dedup_ids(self, world: World):
        queue = await world.queue_with(dedup_ms=1_000)
        await world.enqueue(queue, message(dedup_id="a"))
        assert await world.store.tidy(10) == 0
        world.advance(1_000)
        assert await world.store.tidy(10) == 1
        assert await world.store.tidy(10) == 0

    async def test_tidying_forgets_redrive_tasks_that_ended_long_ago_in_pages(self, world: World):
        dead = await world.queue("dead")
        tasks = []
        for _ in range(3):
            tasks.append(await taken_task(world, dead))
            await world.redrives.finish(tasks[-1], COMPLETED)
            world.advance(1_000)
        cancelled, running = await begun_task(world, dead), await begun_task(world, await world.queue("other"))
        await world.redrives.cancel(dead.partition_id, cancelled.id)
        world.advance(REDRIVE_KEPT_MS - 1_001)
        assert await world.store.tidy(1) == 1
        assert await world.store.tidy(10) == 1
        assert await world.store.tidy(10) == 0
        shown = await world.redrives.page(dead.partition_id, 10)
        assert [task.id for task in shown] == [cancelled.id, tasks[2].id]
        world.advance(1_001)
        assert await world.store.tidy(10) == 2
        assert await world.redrives.page(dead.partition_id, 10) == []
        assert await world.redrives.page(running.partition_id, 10) == [running]

    async def test_a_move_to_a_dropped_dlq_is_not_applied(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        (message_id,) = await world.enqueue(queue)
        delivery = await world.claim_one(queue, 1_000)
        world.advance(1_000)
        (lease,) = (await world.store.expired(10)).leases
        await world.catalog.drop("dead")
        moves = [MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER)]
        assert await world.store.settle(queue.partition_id, moves) == [False]
        assert [m.id for m in await world.messages(queue)] == [message_id]
        assert await world.ack(delivery.receipt) == [Acked(world.now - ms(1_000), queue.partition_id)]

    @pytest.mark.parametrize("settings", [{}, {"fair": True}, {"fifo": True}])
    async def test_a_paused_queue_gives_nothing_until_it_is_resumed(self, world: World, settings):
        queue = await world.queue_with(**settings)
        await world.enqueue(queue, message(group_id="g"))
        paused = await world.catalog.pause("orders", True)
        assert paused is not None
        assert paused.paused
        assert await world.catalog.find("orders") == paused
        # Also for who does not know yet.
        assert await world.claim(queue) == await world.claim(paused) == []
        ids = await world.enqueue(queue, message(group_id="h"))
        resumed = await world.catalog.pause("orders", False)
        assert resumed == queue
        assert ids[0] in [d.message.id for d in await world.claim(paused)]

    async def test_putting_settings_leaves_a_queue_paused(self, world: World):
        await world.queue()
        await world.catalog.pause("orders", True)
        changed, _ = await world.catalog.put("orders", QueueSettings(max_retries=2))
        assert changed.paused

    @pytest.mark.parametrize("fifo", [False, True])
    async def test_fifo_cannot_change(self, world: World, fifo: bool):
        made, created = await world.catalog.put("orders", QueueSettings(fifo=fifo))
        assert created
        with pytest.raises(QueueConflict):
            await world.catalog.put("orders", QueueSettings(fifo=not fifo, max_retries=2))
        assert await world.catalog.find("orders") == made
        changed, _ = await world.catalog.put("orders", QueueSettings(fifo=fifo, max_retries=2))
        assert changed.settings.max_retries == 2

    async def test_of_racing_enqueues_and_purges_each_message_is_kept_or_refused(self, world: World):
        queue = await world.queue()

        async def enqueue() -> list[int]:
            try:
                return await world.enqueue(queue)
            except PartitionDropped:
                return []

        results = await asyncio.gather(*[enqueue() for _ in range(10)], world.catalog.renew("orders"))
        new = results[-1]
        assert await world.messages(new) == []
        assert await world.enqueue(new) == [m.id for m in await world.messages(new)]

    async def _tidied(self, world: World) -> None:
        """Tidy until nothing is left, beyond the time that late transactions are waited for."""
        for _ in range(2):
            while await world.store.tidy(3):
                pass
            world.advance(LATE_TRANSACTIONS_MS)
