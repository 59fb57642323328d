"""Redriving: where dead letters go, how many of them, and how fast."""

import asyncio

import pytest
from msgspec.structs import replace

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.domain import redriving as redriving_module
from sqslite.domain.errors import (
    InvalidValue,
    QueueNotFound,
    RedriveConflict,
)
from sqslite.domain.leases import Nack
from sqslite.domain.limits import RETENTION_MS_DEFAULT, ms
from sqslite.domain.messages import Message
from sqslite.domain.queues import QueueSettings
from sqslite.domain.redrive import Redrive
from sqslite.domain.redriving import HOLD_MS, LOOK_EVERY_MS, STEP_MESSAGES_MAX
from tests.unit.node import Node, message, node
from tests.unit.redrives import COMPLETED, FAILED, RUNNING, carrying, dead_letters, ids_in, latest
from tests.unit.test_wakeups import settled


@pytest.fixture
def own() -> Node:
    return node()


# Where they go


async def test_each_dead_letter_goes_back_to_its_source_and_starts_anew(own: Node):
    own.shift(-1_000)
    (one,) = await dead_letters(own, source="orders", trace_id="t", attributes={"a": "b"}, group_id="g")
    (other,) = await dead_letters(own, source="returns")
    own.shift(1_000)
    async with carrying(own):
        started = await own.redriving.start("dead")
        assert (started.state, started.queue, started.to, started.created_at) == (
            RUNNING,
            "dead",
            None,
            own.clock.now(),
        )
        await own.advance(LOOK_EVERY_MS)
        ended = await latest(own)
    assert (ended.id, ended.state, ended.moved) == (started.id, COMPLETED, 2)
    assert (await ids_in(own, "orders"), await ids_in(own, "returns"), await ids_in(own, "dead")) == (
        [one],
        [other],
        [],
    )
    assert own.observer.redriven_count == 2
    back = (await own.claim_one()).message
    assert (back.id, back.delivery_count, back.fence) == (one, 1, 2)
    assert (back.trace_id, back.attributes, back.group_id, back.last_error) == ("t", {"a": "b"}, "g", "boom")
    assert (back.origin_queue, back.origin_delivery_count) == (None, None)
    assert back.enqueued_at < started.created_at
    assert back.expires_at == ended.ended_at + ms(RETENTION_MS_DEFAULT)


async def test_all_go_to_the_queue_that_is_named(own: Node):
    await own.create("elsewhere", retention_ms=5_000, dlq="graveyard", max_retries=9)
    ids = await dead_letters(own, 2)
    unsourced = await own.enqueue(queue="dead")
    async with carrying(own):
        await own.redriving.start("dead", to="elsewhere")
        await own.advance(LOOK_EVERY_MS)
        assert (await latest(own)).moved == 3
    moved = [message for _, message in (await own.inspection.peek("elsewhere", None, None, None)).messages]
    assert [m.id for m in moved] == ids + unsourced
    assert {(m.dlq, m.expires_at) for m in moved} == {("graveyard", own.clock.now() + ms(5_000))}
    # How often a message is tried it keeps, if it said so.
    assert [m.max_retries for m in moved] == [1, 1, 9]


async def test_what_named_no_dlq_goes_back_to_what_its_queue_says_now(own: Node):
    await own.create("orders", dlq="dead", max_retries=1)
    ids = await own.enqueue(message(), message(dlq="dead"))
    await own.service.nack([Nack(delivery.receipt) for delivery in await own.service.claim("orders")])
    assert await ids_in(own, "dead") == ids
    await own.administration.put("orders", QueueSettings(dlq="changed", max_retries=2))
    async with carrying(own):
        await own.redriving.start("dead")
        await own.advance(LOOK_EVERY_MS)
    assert [(d.message.dlq, d.message.max_retries) for d in await own.service.claim("orders")] == [
        ("changed", 2),
        ("dead", 2),
    ]


@pytest.mark.parametrize("settings", [{}, {"dlq": "dead"}, {"dlq": "changed"}])
async def test_what_goes_back_has_this_queue_as_its_dlq_as_it_had(own: Node, settings: dict[str, str]):
    await own.create("orders", **settings)
    ids = await dead_letters(own)
    async with carrying(own):
        await own.redriving.start("dead")
        await own.advance(LOOK_EVERY_MS)
    (back,) = await own.messages("orders")
    assert (back.id, back.dlq) == (ids[0], "dead")
    await own.service.nack([Nack((await own.claim_one()).receipt)])
    assert await ids_in(own, "dead") == ids


async def test_what_goes_elsewhere_has_the_dlq_of_the_queue_it_goes_to(own: Node):
    await own.create("plain")
    await own.create("strict", dlq="graveyard")
    for target, dlq in (("plain", None), ("strict", "graveyard")):
        await dead_letters(own)
        async with carrying(own):
            await own.redriving.start("dead", to=target)
            await own.advance(LOOK_EVERY_MS)
        page = await own.inspection.peek(target, None, None, None)
        assert [m.dlq for _, m in page.messages] == [dlq]


async def test_a_message_without_a_source_stays_and_stands_in_nobodys_way(own: Node, monkeypatch):
    monkeypatch.setattr(redriving_module, "STEP_MESSAGES_MAX", 2)
    stays = await own.enqueue(*[message() for _ in range(5)], queue="dead")
    goes = await dead_letters(own, 3)
    async with carrying(own):
        await own.redriving.start("dead")
        await own.advance(LOOK_EVERY_MS)
        assert ((await latest(own)).state, (await latest(own)).moved) == (FAILED, 3)
    assert (await ids_in(own, "dead"), await ids_in(own, "orders")) == (stays, goes)


async def test_what_came_later_fails_no_task(own: Node):
    own.shift(-1_000)
    await dead_letters(own)
    await own.redriving.start("dead")
    own.shift(1_000)
    await own.enqueue(queue="dead")
    async with carrying(own):
        await own.advance(LOOK_EVERY_MS)
    assert ((await latest(own)).state, (await latest(own)).moved) == (COMPLETED, 1)


async def test_a_task_that_moved_as_many_as_it_may_has_not_failed_by_what_it_passed(own: Node):
    await own.enqueue(queue="dead")
    await dead_letters(own)
    async with carrying(own):
        await own.redriving.start("dead", limit=1)
        await own.advance(LOOK_EVERY_MS)
    assert ((await latest(own)).state, (await latest(own)).moved) == (COMPLETED, 1)


async def test_a_message_that_came_from_this_very_queue_stays(own: Node):
    class FromHere:
        async def candidates(self, task: Redrive, limit: int) -> list[Message]:
            return [replace(one, origin_queue="dead") for one in await own.backend.redrives.candidates(task, limit)]

        def __getattr__(self, method: str) -> object:
            return getattr(own.backend.redrives, method)

    ids = await dead_letters(own, 2)
    before = await own.messages("dead")
    own.redriving._redrives = FromHere()
    await own.redriving.start("dead")
    async with carrying(own):
        assert ((await latest(own)).state, (await latest(own)).moved) == (FAILED, 0)
    assert await own.messages("dead") == before
    assert len(before) == len(ids)


async def test_only_what_is_ready_when_the_task_begins_is_moved(own: Node):
    delayed = await own.enqueue(message(delay_ms=500), queue="dead")
    (held,) = await dead_letters(own)
    await own.claim_one("dead")
    (first,) = await dead_letters(own)
    await own.redriving.start("dead", to="orders")
    own.shift(1)
    (late,) = await dead_letters(own)
    async with carrying(own):
        await own.advance(5_000)
        assert (await latest(own)).moved == 1
    assert await ids_in(own, "orders") == [first]
    assert await ids_in(own, "dead") == sorted([*delayed, held, late])


async def test_a_task_fails_once_the_queue_it_names_is_gone(own: Node):
    await own.create("elsewhere")
    first, *others = await dead_letters(own, 3)
    async with carrying(own):
        await own.redriving.start("dead", to="elsewhere", max_per_second=1)
        await own.advance(LOOK_EVERY_MS)
        assert await ids_in(own, "elsewhere") == [first]
        await own.administration.delete("elsewhere")
        await own.advance(5_000)
        ended = await latest(own)
        assert (ended.state, ended.moved, ended.ended_at is None) == (FAILED, 1, False)
        assert await ids_in(own, "dead") == others
        with pytest.raises(QueueNotFound):
            await own.administration.get("elsewhere")
        with pytest.raises(RedriveConflict):
            await own.redriving.cancel("dead", ended.id)
        # The next one may begin.
        await own.redriving.start("dead")
        await own.advance(2_000)
        assert (await latest(own)).state is COMPLETED
    assert await ids_in(own, "orders") == others


async def test_a_task_with_nothing_left_to_move_needs_no_target(own: Node):
    await own.create("elsewhere")
    await dead_letters(own)
    async with carrying(own):
        await own.redriving.start("dead", to="elsewhere", max_per_second=1)
        await own.advance(LOOK_EVERY_MS)
        await own.administration.delete("elsewhere")
        await own.advance(2_000)
    assert (await latest(own)).state is COMPLETED


async def test_a_source_that_was_deleted_comes_back(own: Node):
    ids = await dead_letters(own)
    await own.administration.delete("orders")
    async with carrying(own):
        await own.redriving.start("dead")
        await own.advance(LOOK_EVERY_MS)
    assert await ids_in(own, "orders") == ids


async def test_what_was_moved_wakes_who_waits_for_it():
    clock = VirtualClock()
    own = node(clock=clock, wakeups=LocalWakeups(clock))
    ids = await dead_letters(own, 2)
    async with carrying(own):
        polls = [asyncio.ensure_future(own.service.claim("orders", 1, None, 20_000)) for _ in range(3)]
        await own.advance(LOOK_EVERY_MS - 1)
        # Just after the look of the waiting ones, so that only the redrive can wake them.
        await own.redriving.start("dead")
        task = await own.backend.redrives.take(HOLD_MS)
        await own.redriving.step(task)
        await settled()
        assert [[d.message.id for d in poll.result()] for poll in polls[:2]] == [[one] for one in ids]
        assert not polls[2].done()
        polls[2].cancel()


# What is refused


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"to": "dead"}, "to must be another queue than the one that is redriven"),
        ({"to": "a b"}, "to must be 1 to 80"),
        ({"to": ""}, "to must be 1 to 80"),
        ({"max_per_second": 0}, "max_per_second must be 1 to 10000; got 0"),
        ({"max_per_second": 10_001}, "max_per_second must be 1 to 10000; got 10001"),
        ({"limit": 0}, "limit must be 1 to 9007199254740991; got 0"),
        ({"limit": -1}, "limit must be 1 to "),
    ],
)
async def test_what_is_out_of_its_limits_starts_nothing(own: Node, asked: dict[str, object], text: str):
    await dead_letters(own)
    with pytest.raises(InvalidValue) as refusal:
        await own.redriving.start("dead", **asked)
    assert str(refusal.value).startswith(text)
    assert await own.redriving.page("dead") == []


async def test_queues_that_are_not_there_are_told_as_such_and_not_made(own: Node):
    for call in (
        lambda: own.redriving.start("dead"),
        lambda: own.redriving.page("dead"),
        lambda: own.redriving.cancel("dead", 1),
    ):
        with pytest.raises(QueueNotFound, match="queue dead "):
            await call()
    await own.create("dead")
    with pytest.raises(QueueNotFound, match="queue nowhere "):
        await own.redriving.start("dead", to="nowhere")
    assert [queue.name for queue in await own.administration.page()] == ["dead"]


async def test_a_queue_has_one_task_at_a_time_and_others_have_theirs(own: Node):
    await dead_letters(own)
    await own.create("other")
    first = await own.redriving.start("dead")
    with pytest.raises(RedriveConflict):
        await own.redriving.start("dead")
    await own.redriving.start("other")
    async with carrying(own):
        await own.advance(LOOK_EVERY_MS)
    second = await own.redriving.start("dead")
    assert [task.id for task in await own.redriving.page("dead")] == [second.id, first.id]
    assert len(await own.redriving.page("other")) == 1


# How many and how fast


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_no_more_are_moved_than_the_limit_the_oldest_first(own: Node, monkeypatch, limit: int):
    monkeypatch.setattr(redriving_module, "STEP_MESSAGES_MAX", 2)
    ids = await dead_letters(own, 7)
    async with carrying(own):
        await own.redriving.start("dead", limit=limit)
        await own.advance(LOOK_EVERY_MS)
        task = await latest(own)
    assert (task.state, task.moved) == (COMPLETED, min(limit, 7))
    assert (await ids_in(own, "orders"), await ids_in(own, "dead")) == (ids[:limit], ids[limit:])


async def test_without_a_rate_all_goes_at_once(own: Node):
    ids = await dead_letters(own, 1_200)
    await own.redriving.start("dead")
    async with carrying(own):
        assert (await latest(own)).state is COMPLETED
    assert await ids_in(own, "orders") == ids


class Journal:
    """When how many were moved, as the observer of a node was told."""

    def __init__(self, on: Node) -> None:
        self.moves: list[tuple[int, int]] = []
        start = on.clock.now()
        on.observer.redriven = lambda count: self.moves.append(((on.clock.now() - start) // ms(1), count))

    def in_any_second(self) -> int:
        """The most that were moved in any second."""
        return max(sum(n for t, n in self.moves if at <= t < at + 1_000) for at, _ in self.moves)


@pytest.mark.parametrize(
    ("rate", "count"),
    [(1, 4), (3, 20), (7, 40), (333, 1_500), (500, 1_600), (501, 1_200), (700, 2_500), (1_200, 4_000)],
)
async def test_no_second_sees_more_than_the_rate_and_few_see_much_less(own: Node, rate: int, count: int):
    await dead_letters(own, count)
    await own.redriving.start("dead", max_per_second=rate)
    journal = Journal(own)
    async with carrying(own):
        await own.advance(0)
        while (await latest(own)).state is RUNNING:
            await own.advance(100)
    assert sum(moved for _, moved in journal.moves) == count
    assert journal.in_any_second() <= rate
    assert max(moved for _, moved in journal.moves) <= STEP_MESSAGES_MAX
    at_most_s = count / (rate - 1 if rate > 500 else rate) + 1
    assert journal.moves[-1][0] <= at_most_s * 1_000


async def test_messages_that_stay_do_not_make_a_burst_of_those_that_go(own: Node):
    """Steps that move fewer than they may must not be made up for within the second."""
    for _ in range(4):
        await own.enqueue(message(), message(), queue="dead")
        await dead_letters(own, 4)
    await own.redriving.start("dead", max_per_second=3)
    journal = Journal(own)
    async with carrying(own):
        await own.advance(30_000)
        assert ((await latest(own)).state, (await latest(own)).moved) == (FAILED, 16)
    assert journal.in_any_second() <= 3


async def test_messages_that_stay_cost_no_time(own: Node):
    await own.enqueue(*[message() for _ in range(20)], queue="dead")
    await own.redriving.start("dead", max_per_second=1)
    async with carrying(own):
        assert ((await latest(own)).state, (await latest(own)).moved) == (FAILED, 0)


async def test_a_slow_task_does_not_keep_the_others_waiting(own: Node):
    await dead_letters(own, 30)
    await dead_letters(own, 700, dlq="other")
    await own.redriving.start("dead", max_per_second=1)
    async with carrying(own):
        await own.advance(2_500)
        await own.redriving.start("other")
        await own.advance(LOOK_EVERY_MS)
        assert (await latest(own, "other")).state is COMPLETED
        assert (await latest(own)).state is RUNNING
        await own.advance(30_000)
        assert ((await latest(own)).state, (await latest(own)).moved) == (COMPLETED, 30)


async def test_a_node_holds_no_more_tasks_than_it_may_and_others_take_the_rest(own: Node, monkeypatch):
    monkeypatch.setattr(redriving_module, "TASKS_HELD_MAX", 2)
    other = own.neighbour()
    for n in range(3):
        await dead_letters(own, 20, dlq=f"dead{n}")
        await own.redriving.start(f"dead{n}", max_per_second=1)
    async with carrying(own):
        await own.advance(3_000)
        assert [(await latest(own, f"dead{n}")).moved > 0 for n in range(3)] == [True, True, False]
        async with carrying(other):
            await own.advance(1_000)
            assert (await latest(own, "dead2")).moved > 0
            assert other.observer.redriven_count < 3
