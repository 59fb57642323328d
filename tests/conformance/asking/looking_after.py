"""Looking after queues, looking at them, and sending dead letters on."""

import pytest

from sqslite.domain.errors import (
    InvalidValue,
    MessageNotFound,
    QueueConflict,
    QueueNotFound,
    RedriveConflict,
    RedriveNotFound,
)
from sqslite.domain.explain import Why
from sqslite.domain.leases import Nack, Wish
from sqslite.domain.lifecycle import State
from sqslite.domain.ports import Totals
from sqslite.domain.queues import QueueSettings
from sqslite.domain.redrive import RedriveState
from sqslite.domain.retry import Backoff, BackoffKind
from tests.conformance.asking.asked import Asked, message
from tests.conformance.asking.messaging import EVERYTHING

SETTINGS = QueueSettings(
    fair=True,
    visibility_ms=5_000,
    delay_ms=0,
    max_retries=7,
    dlq="dead",
    retention_ms=60_000,
    dedup_ms=1_000,
    receive_wait_ms=0,
    body_bytes_max=100,
    backoff=Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=10, factor=1.5, max_ms=100, jitter=0.25),
    tags={"team": "billing"},
)


class AskedAdministration:
    async def test_a_queue_has_exactly_the_settings_it_was_given_last(self, asked: Asked):
        made, created = await asked.administration.put(asked.queue(), SETTINGS)
        assert (made.name, made.settings, made.paused, created) == (asked.queue(), SETTINGS, False, True)
        found = await asked.administration.get(asked.queue())
        assert (found.name, found.settings) == (asked.queue(), SETTINGS)
        changed, created = await asked.administration.put(asked.queue(), QueueSettings())
        assert (changed.settings, created) == (QueueSettings(), False)

    async def test_bad_settings_and_a_change_of_fifo_are_refused(self, asked: Asked):
        with pytest.raises(InvalidValue, match=r"^backoff.factor must be 1 to 1000; got 0.5") as refused:
            await asked.administration.put(asked.queue(), QueueSettings(backoff=Backoff(factor=0.5)))
        assert refused.value.field == "backoff.factor"
        await asked.administration.put(asked.queue(), QueueSettings())
        with pytest.raises(QueueConflict, match=r"^fifo of queue "):
            await asked.administration.put(asked.queue(), QueueSettings(fifo=True))

    async def test_a_paused_queue_gives_nothing_out_until_it_is_resumed(self, asked: Asked):
        await asked.enqueue()
        assert (await asked.administration.pause(asked.queue())).paused
        assert (await asked.administration.get(asked.queue())).paused
        assert await asked.claim() == []
        assert not (await asked.administration.resume(asked.queue())).paused
        assert len(await asked.claim()) == 1

    async def test_a_purge_empties_and_a_delete_removes(self, asked: Asked):
        await asked.enqueue(message(), message())
        held = await asked.claim_one()
        await asked.administration.purge(asked.queue())
        (refused,) = await asked.messaging.ack([held.receipt])
        assert isinstance(refused, MessageNotFound)
        assert await asked.claim() == []
        await asked.administration.delete(asked.queue())
        with pytest.raises(QueueNotFound, match=rf"^queue {asked.queue()} does not exist"):
            await asked.administration.get(asked.queue())

    async def test_queues_are_listed_by_name_a_page_at_a_time(self, asked: Asked):
        names = [asked.queue(name) for name in ("a", "b", "c")]
        for name in reversed(names):
            await asked.administration.put(name, QueueSettings())
        page = await asked.administration.page(asked.own, limit=2)
        assert [queue.name for queue in page] == names[:2]
        rest = await asked.administration.page(asked.own, after=names[1])
        assert [queue.name for queue in rest] == names[2:]
        with pytest.raises(InvalidValue, match=r"^limit must be "):
            await asked.administration.page(limit=0)
        with pytest.raises(InvalidValue, match=r"^prefix must be "):
            await asked.administration.page(prefix="a b")

    async def test_what_is_not_there_is_not_found(self, asked: Asked):
        administration = asked.administration
        for call in (administration.delete, administration.purge, administration.pause, administration.resume):
            with pytest.raises(QueueNotFound):
                await call(asked.queue("none"))
        with pytest.raises(InvalidValue, match=r"^queue must be "):
            await administration.get("a/b")


class AskedInspection:
    async def test_messages_are_counted_by_state_and_by_what_happened(self, asked: Asked):
        await asked.enqueue(message(), message(), message(delay_ms=60_000), message())
        one, _ = await asked.claim(2)
        await asked.messaging.ack([one.receipt])
        depth, totals = await asked.inspection.stats(asked.queue())
        assert (depth.queue, depth.ready, depth.delayed, depth.in_flight) == (asked.queue(), 1, 1, 1)
        assert depth.oldest_ready_age_ms is not None
        assert not depth.approximate
        assert totals == Totals(enqueued=4, received=2, acked=1)
        with pytest.raises(QueueNotFound):
            await asked.inspection.stats(asked.queue("none"))

    async def test_a_look_shows_all_there_is_and_leases_nothing(self, asked: Asked):
        ids = await asked.enqueue(EVERYTHING, message(delay_ms=60_000))
        page = await asked.inspection.peek(asked.queue(), None, None, None)
        assert [(state, seen.id) for state, seen in page.messages] == [(State.READY, ids[0]), (State.DELAYED, ids[1])]
        assert page.after is None
        seen = page.messages[0][1]
        assert (seen.body, seen.attributes, seen.group_id) == (EVERYTHING.body, EVERYTHING.attributes, "g")
        assert (seen.delivery_count, seen.deliveries_before, seen.lease_until) == (0, 0, None)
        assert seen.expires_at is not None
        assert seen.not_before <= seen.expires_at
        assert (await asked.claim_one()).message.delivery_count == 1

    async def test_a_look_goes_on_from_page_to_page(self, asked: Asked):
        ids = await asked.enqueue(*(message() for _ in range(3)))
        await asked.claim_one()
        first = await asked.inspection.peek(asked.queue(), None, None, 2)
        rest = await asked.inspection.peek(asked.queue(), None, first.after, 2)
        assert [seen.id for _, seen in (*first.messages, *rest.messages)] == [ids[1], ids[2], ids[0]]
        leased = await asked.inspection.peek(asked.queue(), "leased", None, None)
        assert [(state, seen.id) for state, seen in leased.messages] == [(State.LEASED, ids[0])]
        for bad in ({"state": "gone"}, {"after": "x"}, {"limit": 0}):
            with pytest.raises(InvalidValue, match=rf"^{next(iter(bad))} must be "):
                await asked.inspection.peek(asked.queue(), **{"state": None, "after": None, "limit": None, **bad})

    async def test_a_message_is_explained(self, asked: Asked):
        await asked.administration.put(asked.queue(), QueueSettings(fifo=True))
        first, second = await asked.enqueue(message(group_id="g"), message(group_id="g"))
        told = await asked.inspection.explain(second)
        assert (told.queue, told.state, told.code) == (asked.queue(), State.READY, Why.BEHIND_IN_GROUP)
        assert (told.message.id, told.blocked_by, told.message.group_id) == (second, first, "g")
        assert str(first) in told.reason
        held = await asked.claim_one()
        told = await asked.inspection.explain(first)
        assert (told.code, told.changes_at, told.blocked_by) == (Why.LEASED, held.message.lease_until, None)
        with pytest.raises(MessageNotFound, match=r"^message 9007199254740991 does not exist"):
            await asked.inspection.explain(2**53 - 1)


class AskedRedriveTasks:
    async def test_a_task_is_started_shown_and_cancelled(self, asked: Asked):
        dead = await self.dead_letters(asked)
        task = await asked.redriving.start(dead, max_per_second=1, limit=5)
        assert (task.queue, task.to, task.max_per_second, task.limit) == (dead, None, 1, 5)
        assert (task.state, task.ended_at) == (RedriveState.RUNNING, None)
        with pytest.raises(RedriveConflict):
            await asked.redriving.start(dead)
        cancelled = await asked.redriving.cancel(dead, task.id)
        assert (cancelled.id, cancelled.state) == (task.id, RedriveState.CANCELLED)
        assert cancelled.ended_at is not None
        (shown,) = await asked.redriving.page(dead)
        assert (shown.id, shown.state, shown.created_at) == (task.id, RedriveState.CANCELLED, task.created_at)

    async def test_what_cannot_be_redriven_is_refused(self, asked: Asked):
        dead = await self.dead_letters(asked)
        with pytest.raises(QueueNotFound):
            await asked.redriving.start(asked.queue("none"))
        with pytest.raises(QueueNotFound):
            await asked.redriving.start(dead, to=asked.queue("none"))
        with pytest.raises(InvalidValue, match=r"^max_per_second must be "):
            await asked.redriving.start(dead, max_per_second=0)
        with pytest.raises(RedriveNotFound):
            await asked.redriving.cancel(dead, 2**53 - 1)
        assert list(await asked.redriving.page(dead)) == []

    async def dead_letters(self, asked: Asked) -> str:
        await asked.enqueue(*(message(dlq=asked.queue("dead")) for _ in range(3)))
        held = await asked.claim()
        wish = Wish(dead_letter=True)
        assert await asked.messaging.nack([Nack(one.receipt, wish) for one in held]) == [None] * 3
        return asked.queue("dead")
