"""Dedup_ids: what was accepted within a queue's dedup_ms is not kept a second time, whatever became of it."""

import asyncio

from sqslite.domain.limits import DEDUP_MS_DEFAULT, RETENTION_FOREVER
from sqslite.domain.messages import Accepted
from sqslite.domain.ports import MoveToDlq
from sqslite.domain.queues import QueueSettings
from tests.conformance.world import World, message


class Deduplication:
    async def test_a_dedup_id_that_was_accepted_is_answered_with_the_first_message(self, world: World):
        queue = await world.queue()
        (first,) = await world.accept(queue, message(b"1", dedup_id="d"))
        assert first == Accepted(first.id, duplicate=False)
        assert await world.accept(queue, message(b"2", dedup_id="d")) == [Accepted(first.id, duplicate=True)]

    async def test_a_duplicate_is_nowhere_to_be_seen(self, world: World):
        queue = await world.queue()
        (first,) = await world.enqueue(queue, message(b"1", dedup_id="d"))
        await world.enqueue(queue, message(b"2", dedup_id="d", delay_ms=1_000))
        (depth,) = await world.stats.depths([queue])
        assert (depth.ready, depth.delayed, depth.in_flight) == (1, 0, 0)
        assert [(m.id, m.body) for m in await world.messages(queue)] == [(first, b"1")]
        world.advance(1_000)
        assert [d.message.body for d in await world.claim(queue)] == [b"1"]

    async def test_a_dedup_id_is_known_after_its_message_was_acked(self, world: World):
        queue = await world.queue()
        (first,) = await world.enqueue(queue, message(dedup_id="d"))
        await world.ack((await world.claim_one(queue)).receipt)
        assert await world.accept(queue, message(dedup_id="d")) == [Accepted(first, duplicate=True)]
        assert await world.claim(queue) == []

    async def test_a_dedup_id_is_known_after_its_message_was_dead_lettered(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        (first,) = await world.enqueue(queue, message(dedup_id="d"))
        await world.claim_one(queue, 1_000)
        world.advance(1_000)
        assert await world.dead_letter_expired(dlq) == [True]
        assert await world.accept(queue, message(dedup_id="d")) == [Accepted(first, duplicate=True)]
        assert await world.messages(queue) == []

    async def test_a_dead_letter_brings_no_dedup_id_along(self, world: World):
        queue, dlq = await world.queue(), await world.queue("dead")
        (first,) = await world.enqueue(queue, message(dedup_id="d"))
        delivery = await world.claim_one(queue)
        held = await world.store.held(queue.partition_id, [delivery.receipt])
        move = MoveToDlq(held.leases[0], dlq, world.now, RETENTION_FOREVER)
        assert await world.store.settle(queue.partition_id, [move]) == [True]
        (second,) = await world.accept(dlq, message(dedup_id="d"))
        assert not second.duplicate
        assert {first, second.id} == {m.id for m in await world.messages(dlq)}

    async def test_a_dedup_id_is_new_again_after_the_default_time(self, world: World):
        queue = await world.queue()
        (first,) = await world.enqueue(queue, message(dedup_id="d"))
        world.advance(DEDUP_MS_DEFAULT - 1)
        assert await world.accept(queue, message(dedup_id="d")) == [Accepted(first, duplicate=True)]
        world.advance(1)
        (second,) = await world.accept(queue, message(dedup_id="d"))
        assert (second.duplicate, second.id > first) == (False, True)
        # It is remembered anew, and as the new message.
        world.advance(DEDUP_MS_DEFAULT - 1)
        assert await world.accept(queue, message(dedup_id="d")) == [Accepted(second.id, duplicate=True)]
        assert [m.id for m in await world.messages(queue)] == [first, second.id]

    async def test_a_queue_may_remember_dedup_ids_for_a_time_of_its_own(self, world: World):
        queue = await world.queue(settings=QueueSettings(dedup_ms=2_000))
        (first,) = await world.enqueue(queue, message(dedup_id="d"))
        world.advance(1_999)
        assert await world.accept(queue, message(dedup_id="d")) == [Accepted(first, duplicate=True)]
        world.advance(1)
        (second,) = await world.accept(queue, message(dedup_id="d"))
        assert not second.duplicate

    async def test_tidying_forgets_no_dedup_id_too_early(self, world: World):
        queue = await world.queue(settings=QueueSettings(dedup_ms=2_000))
        (first,) = await world.enqueue(queue, message(dedup_id="d"))
        world.advance(1_999)
        assert await world.store.tidy(10) == 0
        assert await world.accept(queue, message(dedup_id="d")) == [Accepted(first, duplicate=True)]
        world.advance(1)
        assert await world.store.tidy(10) == 1
        assert await world.store.tidy(10) == 0

    async def test_tidying_forgets_no_dedup_id_that_came_again(self, world: World):
        queue = await world.queue_with(dedup_ms=1_000)
        await world.enqueue(queue, message(dedup_id="a"))
        world.advance(1_000)
        (again,) = await world.enqueue(queue, message(dedup_id="a"))
        while await world.store.tidy(10):
            pass
        world.advance(999)
        assert await world.accept(queue, message(dedup_id="a")) == [Accepted(again, duplicate=True)]

    async def test_a_repetition_within_a_call_is_a_duplicate(self, world: World):
        queue = await world.queue()
        one, two, three = await world.accept(queue, *[message(b"%d" % n, dedup_id="d") for n in range(3)])
        assert not one.duplicate
        assert two == three == Accepted(one.id, duplicate=True)
        assert [m.body for m in await world.messages(queue)] == [b"0"]

    async def test_a_mixed_call_answers_in_the_order_of_its_messages(self, world: World):
        queue = await world.queue()
        (known,) = await world.enqueue(queue, message(b"known", dedup_id="k"))
        dedup_ids = ["x", "k", None, "y", "x", None, "k", "y"]
        accepted = await world.accept(queue, *[message(b"%d" % n, dedup_id=d) for n, d in enumerate(dedup_ids)])
        assert [one.duplicate for one in accepted] == [False, True, False, False, True, False, True, True]
        assert (accepted[1].id, accepted[6].id) == (known, known)
        assert (accepted[4].id, accepted[7].id) == (accepted[0].id, accepted[3].id)
        kept = {accepted[n].id: b"%d" % n for n in (0, 2, 3, 5)}
        assert {m.id: m.body for m in await world.messages(queue)} == {known: b"known", **kept}
        assert list(kept) == sorted(kept)

    async def test_a_call_of_duplicates_only_keeps_nothing(self, world: World):
        queue = await world.queue()
        ids = await world.enqueue(queue, message(dedup_id="a"), message(dedup_id="b"))
        again = await world.accept(queue, message(dedup_id="b"), message(dedup_id="a"))
        assert again == [Accepted(ids[1], duplicate=True), Accepted(ids[0], duplicate=True)]
        assert [m.id for m in await world.messages(queue)] == ids

    async def test_dedup_ids_differ_by_every_character(self, world: World):
        queue = await world.queue()
        dedup_ids = ["d", "D", " d", "d ", "é", "e\u0301", "%", "d' --"]
        accepted = await world.accept(queue, *[message(dedup_id=dedup_id) for dedup_id in dedup_ids])
        assert [one.duplicate for one in accepted] == [False] * len(dedup_ids)

    async def test_messages_without_a_dedup_id_are_never_duplicates(self, world: World):
        queue = await world.queue()
        assert len(set(await world.enqueue(queue, message(), message()))) == 2
        assert not (await world.accept(queue, message()))[0].duplicate

    async def test_another_queue_knows_dedup_ids_of_its_own(self, world: World):
        one, other = await world.queue("one"), await world.queue("other")
        await world.enqueue(one, message(dedup_id="d"))
        (accepted,) = await world.accept(other, message(dedup_id="d"))
        assert not accepted.duplicate
        assert [m.id for m in await world.messages(other)] == [accepted.id]

    async def test_a_message_shows_its_dedup_id_wherever_it_goes(self, world: World):
        for settings in (QueueSettings(), QueueSettings(fifo=True), QueueSettings(fair=True)):
            queue = await world.queue(f"{settings.discipline}", settings)
            dead = await world.queue(f"{settings.discipline}.dead", settings)
            (first, plain) = await world.enqueue(queue, message(dedup_id="d ü", group_id="g"), message(group_id="h"))
            shown = {first: "d ü", plain: None}
            assert {m.id: m.dedup_id for m in await world.messages(queue)} == shown
            assert (await world.store_sight(first)).message.dedup_id == "d ü"
            deliveries = await world.claim(queue, visibility_ms=1_000)
            assert {d.message.id: d.message.dedup_id for d in deliveries} == shown
            world.advance(1_000)
            assert await world.dead_letter_expired(dead) == [True, True]
            assert {m.id: m.dedup_id for m in await world.messages(dead)} == shown
            assert {d.message.id: d.message.dedup_id for d in await world.claim(dead)} == shown

    async def test_a_dedup_id_may_be_known_within_its_group_only(self, world: World):
        for settings in (QueueSettings(dedup_scope="group"), QueueSettings(fifo=True, dedup_scope="group")):
            queue = await world.queue(f"{settings.discipline}", settings)
            sent = [("a", "d"), ("b", "d"), ("a", "d"), ("a", "e"), ("b", "d")]
            accepted = await world.accept(queue, *[message(group_id=g, dedup_id=d) for g, d in sent])
            assert [one.duplicate for one in accepted] == [False, False, True, False, True]
            assert (accepted[2].id, accepted[4].id) == (accepted[0].id, accepted[1].id)
            (again,) = await world.accept(queue, message(group_id="b", dedup_id="d"))
            assert again == Accepted(accepted[1].id, duplicate=True)
            assert [m.dedup_id for m in await world.messages(queue)] == ["d", "d", "e"]

    async def test_messages_in_no_group_know_dedup_ids_together(self, world: World):
        queue = await world.queue_with(dedup_scope="group")
        accepted = await world.accept(queue, *[message(group_id=g, dedup_id="d") for g in (None, "d", None)])
        assert [one.duplicate for one in accepted] == [False, False, True]

    async def test_the_names_of_group_and_dedup_id_do_not_run_together(self, world: World):
        queue = await world.queue_with(dedup_scope="group")
        sent = [("a", "bc"), ("ab", "c"), (None, "abc")]
        accepted = await world.accept(queue, *[message(group_id=g, dedup_id=d) for g, d in sent])
        assert [one.duplicate for one in accepted] == [False, False, False]

    async def test_a_renewed_queue_remembers_nothing(self, world: World):
        queue = await world.queue()
        await world.enqueue(queue, message(dedup_id="d"))
        renewed = await world.catalog.renew(queue.name)
        assert renewed is not None
        (accepted,) = await world.accept(renewed, message(dedup_id="d"))
        assert not accepted.duplicate

    async def test_concurrent_enqueues_of_a_dedup_id_keep_one_message(self, world: World):
        queue = await world.queue()
        # In opposite orders: the way to a deadlock where a store locks what it is given in that order.
        orders = [["a", "b", "c"], ["c", "b", "a"]] * 4
        calls = await asyncio.gather(
            *[world.accept(queue, *[message(dedup_id=dedup_id) for dedup_id in order]) for order in orders]
        )
        answers = {
            (dedup_id, one.id)
            for order, call in zip(orders, calls, strict=True)
            for dedup_id, one in zip(order, call, strict=True)
        }
        assert len(answers) == 3
        assert sorted(message_id for _, message_id in answers) == [m.id for m in await world.messages(queue)]
        assert sum(not one.duplicate for call in calls for one in call) == 3

    async def test_groups_know_dedup_ids_together(self, world: World):
        for settings in (QueueSettings(fifo=True), QueueSettings(fair=True)):
            queue = await world.queue(f"fifo-{settings.fifo}", settings)
            first, again, other = await world.accept(
                queue,
                message(b"1", group_id="a", dedup_id="d"),
                message(b"2", group_id="b", dedup_id="d"),
                message(b"3", group_id="b", dedup_id="e"),
            )
            assert (again, other.duplicate) == (Accepted(first.id, duplicate=True), False)
            deliveries = await world.claim(queue)
            assert [(d.message.body, d.message.group_id) for d in deliveries] == [(b"1", "a"), (b"3", "b")]
            await world.ack(*[delivery.receipt for delivery in deliveries])
            later = await world.accept(queue, message(group_id="c", dedup_id="d"), message(group_id="c"))
            assert [one.duplicate for one in later] == [True, False]
            assert [d.message.id for d in await world.claim(queue)] == [later[1].id]
