"""Who looks after queues: deleting, purging, pausing; and what that means for those who use them at that moment."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.domain.directory import REMEMBERED_MS
from sqslite.domain.errors import InvalidValue, MessageNotFound, QueueConflict, QueueNotFound, StoreUnavailable
from sqslite.domain.leases import Nack, Wish
from sqslite.domain.messages import Accepted
from sqslite.domain.ports import Store
from sqslite.domain.queues import QueueSettings
from sqslite.domain.service import DROPS_MAX
from tests.unit.node import Node, message, node
from tests.unit.test_wakeups import settled


@pytest.fixture
def own() -> Node:
    return node()


class Raced(InterceptedStore):
    """Somebody else is quicker: before each of the next calls of a method something happens."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.before: dict[str, list[Callable[[], Awaitable[object]]]] = {}

    async def intercept(self, method, call):
        acts = self.before.get(method)
        if acts:
            await acts.pop(0)()
        return await call()


def raced() -> tuple[Node, Raced, Node]:
    """A node, its store in which a test can race it, and the neighbour that is quicker."""
    stores: list[Raced] = []
    own = node(lambda store: stores.append(Raced(store)) or stores[0])
    return own, stores[0], own.neighbour()


UNKNOWN: list[Callable[[Node], Awaitable[object]]] = [
    lambda on: on.administration.get("orders"),
    lambda on: on.administration.delete("orders"),
    lambda on: on.administration.purge("orders"),
    lambda on: on.administration.pause("orders"),
    lambda on: on.administration.resume("orders"),
]
NAMED: list[Callable[[Node, str], Awaitable[object]]] = [
    lambda on, name: on.administration.put(name, QueueSettings()),
    lambda on, name: on.administration.get(name),
    lambda on, name: on.administration.delete(name),
    lambda on, name: on.administration.purge(name),
    lambda on, name: on.administration.pause(name),
    lambda on, name: on.administration.resume(name),
]


@pytest.mark.parametrize("call", UNKNOWN)
async def test_a_queue_that_is_not_there_is_told_as_such_and_not_made(own: Node, call):
    with pytest.raises(QueueNotFound, match=r"^queue orders does not exist$"):
        await call(own)
    assert await own.administration.page() == []


@pytest.mark.parametrize("call", NAMED)
@pytest.mark.parametrize("name", ["", "a b", "x" * 81])
async def test_what_is_no_queue_name_is_refused(own: Node, call, name: str):
    with pytest.raises(InvalidValue, match=r"^queue must be "):
        await call(own, name)


async def test_fifo_cannot_change_and_all_else_can(own: Node):
    await own.administration.put("orders", QueueSettings(fifo=True))
    with pytest.raises(QueueConflict, match=r"^fifo of queue orders is true and cannot change"):
        await own.administration.put("orders", QueueSettings(visibility_ms=1))
    changed, created = await own.administration.put("orders", QueueSettings(fifo=True, visibility_ms=1))
    assert (changed.settings.visibility_ms, created) == (1, False)
    with pytest.raises(InvalidValue, match=r"^fair must be false for a FIFO queue"):
        await own.administration.put("orders", QueueSettings(fifo=True, fair=True))


async def test_a_change_is_of_the_settings_that_the_queue_has_then(own: Node):
    other = own.neighbour()
    await own.administration.put("orders", QueueSettings(delay_ms=1))
    await own.directory.find("orders")
    await other.administration.put("orders", QueueSettings(delay_ms=2))
    changed = await own.administration.change("orders", lambda settings: replace(settings, visibility_ms=5))
    assert changed.settings == QueueSettings(delay_ms=2, visibility_ms=5)
    assert (await own.directory.find("orders")).settings == changed.settings
    for bad, text in (
        (lambda settings: replace(settings, visibility_ms=0), "^visibility_ms must be "),
        (lambda settings: replace(settings, dlq="orders"), "^dlq must be another queue"),
    ):
        with pytest.raises(InvalidValue, match=text):
            await own.administration.change("orders", bad)
    await own.administration.put("dead", QueueSettings(redrive_allow=[]))
    with pytest.raises(InvalidValue, match=r"^dlq must be a queue whose redrive_allow allows orders; "):
        await own.administration.change("orders", lambda settings: replace(settings, dlq="dead"))
    with pytest.raises(QueueNotFound):
        await own.administration.change("nobody", lambda settings: settings)
    assert (await own.administration.get("orders")).settings == changed.settings
    assert [queue.name for queue in await own.administration.page()] == ["dead", "orders"]


async def test_a_dead_letter_queue_says_who_may_name_it_from_then_on(own: Node):
    await own.administration.put("dead", QueueSettings())
    await own.administration.put("orders", QueueSettings(dlq="dead"))
    await own.administration.put("dead", QueueSettings(redrive_allow=[]))
    # Those that have it keep it, whatever else of them changes.
    await own.administration.put("orders", QueueSettings(dlq="dead", visibility_ms=1))
    assert (await own.administration.create("orders", QueueSettings(dlq="dead"))).settings.visibility_ms == 1
    await own.administration.put("orders", QueueSettings())
    for name in ("orders", "new"):
        with pytest.raises(InvalidValue, match=f"^dlq must be a queue whose redrive_allow allows {name}; "):
            await own.administration.put(name, QueueSettings(dlq="dead"))
    with pytest.raises(InvalidValue):
        await own.administration.create("new", QueueSettings(dlq="dead"))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"dedup_ms": 0}, "dedup_ms must be 1 to 86400000; got 0"),
        ({"dedup_ms": 86_400_001}, "dedup_ms must be 1 to 86400000; got 86400001"),
    ],
)
async def test_settings_out_of_range_are_refused(own: Node, settings: dict[str, int], text: str):
    with pytest.raises(InvalidValue) as refusal:
        await own.administration.put("orders", QueueSettings(**settings))
    assert str(refusal.value) == text


async def test_queues_are_listed_by_prefix_a_page_at_a_time(own: Node):
    for name in ("b", "a.2", "a.1", "a.3"):
        await own.create(name)
    names = [queue.name for queue in await own.administration.page("a.", limit=2)]
    assert names == ["a.1", "a.2"]
    assert [queue.name for queue in await own.administration.page("a.", "a.2", 2)] == ["a.3"]
    assert [queue.name for queue in await own.administration.page()] == ["a.1", "a.2", "a.3", "b"]
    for bad, field in ({"prefix": "a b"}, "prefix"), ({"after": "ä"}, "after"), ({"limit": 1_001}, "limit"):
        with pytest.raises(InvalidValue) as refusal:
            await own.administration.page(**bad)
        assert refusal.value.field == field


# Delete and purge


async def test_a_deleted_queue_is_gone_with_its_messages_and_comes_back_empty_with_defaults(own: Node):
    await own.create("orders", visibility_ms=1_000)
    await own.enqueue(message(dedup_id="d"), message(delay_ms=5_000), message())
    receipt = (await own.claim_one()).receipt
    await own.administration.delete("orders")
    with pytest.raises(QueueNotFound):
        await own.administration.get("orders")
    await own.sweep.clear()
    assert isinstance((await own.service.ack([receipt]))[0], MessageNotFound)
    assert await own.service.claim("orders") == []
    (again,) = await own.service.enqueue("orders", [message(dedup_id="d")])
    assert not again.duplicate
    assert [m.id for m in await own.messages()] == [again.id]
    assert (await own.administration.get("orders")).settings == QueueSettings()


async def test_a_purged_queue_is_empty_at_once_and_keeps_its_settings_and_totals(own: Node):
    await own.create("orders", visibility_ms=1_000, dlq="dead")
    await own.enqueue(message(dedup_id="d"), message(delay_ms=5_000), message())
    await own.claim_one()
    await own.tally.flush()
    await own.administration.purge("orders")
    depth, totals = await own.inspection.stats("orders")
    assert (depth.ready, depth.delayed, depth.in_flight) == (0, 0, 0)
    assert (totals.enqueued, totals.received) == (3, 1)
    (again,) = await own.service.enqueue("orders", [message(dedup_id="d")])
    assert not again.duplicate
    queue = await own.administration.get("orders")
    assert (queue.settings.visibility_ms, queue.settings.dlq) == (1_000, "dead")
    own.shift(5_000)
    assert [d.message.id for d in await own.service.claim("orders")] == [again.id]


@pytest.mark.parametrize("how", ["purge", "delete"])
async def test_an_enqueue_that_is_overtaken_goes_into_the_new_partition(how: str):
    own, store, quicker = raced()
    await own.enqueue()
    await own.tally.flush()
    store.before["enqueue"] = [lambda: getattr(quicker.administration, how)("orders")]
    (accepted,) = await own.service.enqueue("orders", [message(b"2")])
    assert isinstance(accepted, Accepted)
    assert [m.body for m in await own.messages()] == [b"2"]
    assert [d.message.id for d in await own.service.claim("orders")] == [accepted.id]
    assert own.observer.enqueued_in == {"orders": 2}
    assert (await own.inspection.stats("orders"))[1].enqueued == (2 if how == "purge" else 1)


async def test_an_enqueue_is_judged_anew_by_the_queue_that_came_after_the_deleted_one():
    own, store, quicker = raced()
    await own.create("orders", body_bytes_max=1)

    async def exchanged() -> None:
        await quicker.administration.delete("orders")
        await quicker.administration.put("orders", QueueSettings(fifo=True, max_retries=9))

    store.before["enqueue"] = [exchanged]
    refused, kept = await own.service.enqueue("orders", [message(b"1"), message(b"2", group_id="a")])
    assert isinstance(refused, InvalidValue)
    assert refused.field == "group_id"
    assert [(d.message.id, d.message.max_retries) for d in await own.service.claim("orders")] == [(kept.id, 9)]


async def test_creating_a_queue_leaves_one_that_is_there_as_it_is(own: Node):
    assert await own.enqueue() == [1]
    await own.administration.put("orders", QueueSettings(max_retries=2))
    there = await own.administration.create("orders", QueueSettings(max_retries=3))
    assert (there.settings, await own.administration.get("orders")) == (QueueSettings(max_retries=2), there)
    made = await own.administration.create("other", QueueSettings(max_retries=3))
    assert (made.settings, await own.administration.get("other")) == (QueueSettings(max_retries=3), made)
    with pytest.raises(InvalidValue, match=r"^max_retries must be "):
        await own.administration.create("third", QueueSettings(max_retries=0))


async def test_the_sources_of_a_dead_letter_queue_are_listed(own: Node):
    for name in ("a", "b", "c"):
        await own.administration.put(name, QueueSettings(dlq="dead"))
    assert [queue.name for queue in await own.administration.sources("dead")] == ["a", "b", "c"]
    assert [queue.name for queue in await own.administration.sources("dead", "a", 1)] == ["b"]
    assert await own.administration.sources("a") == []
    for bad in (0, 1_001):
        with pytest.raises(InvalidValue, match=r"^limit must be "):
            await own.administration.sources("dead", "", bad)


async def test_when_a_queue_was_deleted_is_known_on_every_node(own: Node):
    await own.administration.put("orders", QueueSettings())
    await own.administration.delete("orders")
    assert await own.neighbour().administration.deleted_at("orders") == own.clock.now()
    assert await own.neighbour().administration.deleted_at("other") is None


@pytest.mark.parametrize("drops", [DROPS_MAX - 1, DROPS_MAX])
async def test_an_enqueue_that_is_overtaken_again_and_again_gives_up_in_the_end(drops: int):
    own, store, quicker = raced()
    await own.create("orders")
    store.before["enqueue"] = [lambda: quicker.administration.purge("orders")] * drops
    if drops < DROPS_MAX:
        assert len(await own.enqueue()) == 1
        return
    with pytest.raises(StoreUnavailable, match=r"^queue orders is being purged or deleted again and again$"):
        await own.service.enqueue("orders", [message()])
    assert await own.messages() == []
    assert own.observer.enqueued_in == {}


async def test_a_node_that_remembers_the_old_partition_claims_nothing_from_it_and_finds_the_new_one(own: Node):
    other = own.neighbour()
    await other.enqueue()
    await own.administration.purge("orders")
    (fresh,) = await own.enqueue()
    assert await other.service.claim("orders") == []
    own.shift(REMEMBERED_MS)
    assert [d.message.id for d in await other.service.claim("orders")] == [fresh]


@pytest.mark.parametrize("how", ["purge", "delete"])
async def test_the_node_that_was_told_goes_by_it_at_once(own: Node, how: str):
    other = own.neighbour()
    await own.enqueue()
    await getattr(own.administration, how)("orders")
    (fresh,) = await other.enqueue()
    assert [d.message.id for d in await own.service.claim("orders")] == [fresh]


async def test_a_dead_letter_finds_the_partition_that_its_queue_has_now():
    own, store, quicker = raced()
    await own.create("dead")
    ids = await own.enqueue(*[message(max_retries=1, dlq="dead") for _ in range(3)])
    receipts = [delivery.receipt for delivery in await own.service.claim("orders")]
    for receipt, how in zip(receipts, ("purge", "delete", "purge"), strict=True):
        store.before["settle"] = [lambda how=how: getattr(quicker.administration, how)("dead")]
        assert await own.service.nack([Nack(receipt, Wish(error="boom"))]) == [None]
        assert [(m.id, m.last_error) for m in await own.messages("dead")] == [(receipt.message_id, "boom")]
    assert [receipt.message_id for receipt in receipts] == ids
    assert own.observer.dead_lettered_count == 3


async def test_settling_the_leases_of_a_queue_that_is_deleted_meanwhile_does_not_bring_it_back(own: Node):
    quicker = own.neighbour()
    await quicker.enqueue()
    await quicker.claim_one(visibility_ms=1)
    own.shift(1)
    ended = await own.backend.store.expired(10)
    await quicker.administration.delete("orders")
    await own.sweep.settle(ended)
    assert await own.administration.page() == []


async def test_a_poll_outlives_a_purge_and_gets_what_comes_after_it():
    clock = VirtualClock()
    own = node(clock=clock, wakeups=LocalWakeups(clock))
    await own.create("orders")
    poll = asyncio.ensure_future(own.service.claim("orders", 1, None, 20_000))
    await settled()
    await own.administration.purge("orders")
    sent = await own.enqueue()
    await settled()
    assert [d.message.id for d in poll.result()] == sent


# Pause and resume


async def test_a_paused_queue_takes_messages_and_gives_none_out_on_any_node(own: Node):
    other = own.neighbour()
    held = await own.enqueue()
    receipt = (await own.claim_one()).receipt
    paused = await own.administration.pause("orders")
    assert paused.paused
    assert (await other.administration.get("orders")).paused
    await own.enqueue()
    for each in (own, other):
        assert await each.service.claim("orders") == []
    # What is out already can be finished, and given back.
    assert await own.service.nack([Nack(receipt)]) == [None]
    assert await own.service.claim("orders") == []
    assert not (await other.administration.resume("orders")).paused
    assert held[0] in [d.message.id for d in await own.service.claim("orders")]


async def test_pausing_twice_is_pausing(own: Node):
    await own.create("orders")
    for _ in range(2):
        assert (await own.administration.pause("orders")).paused
    for _ in range(2):
        assert not (await own.administration.resume("orders")).paused


async def test_new_settings_leave_a_paused_queue_paused(own: Node):
    await own.create("orders")
    await own.administration.pause("orders")
    changed, _ = await own.administration.put("orders", QueueSettings(visibility_ms=1))
    assert changed.paused


async def test_resuming_wakes_every_poll_that_is_parked_here(own: Node):
    await own.create("orders")
    await own.administration.pause("orders")
    sent = await own.enqueue(message(), message(), message())
    polls = [asyncio.ensure_future(own.service.claim("orders", 1, None, 20_000)) for _ in range(3)]
    await settled()
    await own.advance(5_000)
    assert not any(poll.done() for poll in polls)
    await own.administration.resume("orders")
    await settled()
    assert sorted(d.message.id for poll in polls for d in poll.result()) == sent


async def test_polls_that_are_parked_elsewhere_find_it_within_a_second(own: Node):
    other = own.neighbour()
    await own.enqueue()
    await own.administration.pause("orders")
    poll = asyncio.ensure_future(other.service.claim("orders", 1, None, 20_000))
    await settled()
    await own.administration.resume("orders")
    await settled()
    assert not poll.done()
    await own.advance(1_000)
    assert len(poll.result()) == 1


async def test_a_poll_on_a_paused_queue_ends_empty_at_its_time(own: Node):
    await own.enqueue()
    await own.administration.pause("orders")
    poll = asyncio.ensure_future(own.service.claim("orders", 1, None, 2_000))
    await settled()
    await own.advance(1_999)
    assert not poll.done()
    await own.advance(1)
    assert poll.result() == []
