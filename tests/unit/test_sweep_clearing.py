"""The sweep and retention: what is dropped, what is deleted in pages, and how long dead letters are kept."""

import asyncio

import pytest

from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain import sweep as sweep_module
from sqslite.domain.errors import StoreUnavailable
from sqslite.domain.leases import Nack, Wish
from sqslite.domain.limits import RETENTION_MS_DEFAULT, ms
from sqslite.domain.ports import Store
from sqslite.domain.queues import Defaults, QueueSettings
from sqslite.domain.sweep import CLEARED_PAGES_MAX, LOOK_EVERY_MS, PAGE_ROWS_MAX
from tests.unit.node import INTERVAL_MS, Node, Plan, message, node
from tests.unit.test_sweep import sweeping


@pytest.fixture
def own() -> Node:
    return node()


class Cluttered(InterceptedStore):
    """A store with so and so much to delete; notes how much it was asked for."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.over = 0
        self.meaningless = 0
        self.asked: list[tuple[str, int]] = []

    async def expire(self, limit: int) -> int:
        self.asked.append(("expire", limit))
        deleted = min(limit, self.over)
        self.over -= deleted
        return deleted

    async def tidy(self, limit: int) -> int:
        self.asked.append(("tidy", limit))
        deleted = min(limit, self.meaningless)
        self.meaningless -= deleted
        return deleted


def cluttered(over: int = 0, meaningless: int = 0) -> tuple[Node, Cluttered]:
    stores: list[Cluttered] = []
    own = node(lambda store: stores.append(Cluttered(store)) or stores[0])
    stores[0].over, stores[0].meaningless = over, meaningless
    return own, stores[0]


# Drop


@pytest.mark.parametrize("how", ["sweep", "claim", "nack", "release"])
async def test_a_lease_that_ends_after_its_messages_retention_is_the_messages_end(own: Node, how: str):
    await own.enqueue(message(retention_ms=1_000, max_retries=1, dlq="dead"))
    held = await own.claim_one(visibility_ms=2_000)
    own.shift(1_999)
    assert await own.sweep.settle_due() == 0
    assert (await own.depth()).in_flight == 1
    if how in ("sweep", "claim"):
        own.shift(1)
    if how == "sweep":
        assert await own.sweep.settle_due() == 1
    elif how == "claim":
        assert await own.service.claim("orders") == []
    elif how == "nack":
        assert await own.service.nack([Nack(held.receipt, Wish(delay_ms=0, error="boom"))]) == [None]
    else:
        await own.service.release([held])
    assert await own.messages() == await own.messages("dead") == []
    observer = own.observer
    assert (observer.expired_count, observer.requeued_count, observer.dead_lettered_count) == (1, 0, 0)
    assert (await own.inspection.stats("orders"))[1].dead_lettered == 0


async def test_who_holds_a_message_may_finish_it_though_its_retention_is_over(own: Node):
    await own.enqueue(message(retention_ms=1_000))
    held = await own.claim_one(visibility_ms=5_000)
    own.shift(2_000)
    await own.sweep.clear()
    assert await own.service.ack([held.receipt]) == [None]
    assert own.observer.expired_count == 0


async def test_each_ended_lease_is_counted_as_what_became_of_it(own: Node):
    await own.enqueue(
        *[message(retention_ms=500) for _ in range(2)],
        *[message(max_retries=1, dlq="dead") for _ in range(3)],
        *[message() for _ in range(4)],
    )
    await own.service.claim("orders", 10, 1_000)
    own.shift(1_000)
    assert await own.sweep.settle_due() == 9
    observer = own.observer
    assert (observer.expired_count, observer.dead_lettered_count, observer.requeued_count) == (2, 3, 4)
    assert (await own.inspection.stats("orders"))[1].dead_lettered == 3


# Dead letters


@pytest.mark.parametrize(
    ("settings", "kept_ms"),
    [({}, RETENTION_MS_DEFAULT), ({"retention_ms": 20_000}, 20_000), ({"retention_ms": 0}, None)],
)
async def test_a_dead_letter_is_kept_for_as_long_as_its_new_queue_says_from_its_enqueue(
    settings: dict[str, int], kept_ms: int | None
):
    own = node(defaults=Defaults(retention_forever=True))
    await own.create("dead", **settings)
    enqueued_at = own.clock.now()
    await own.enqueue(message(retention_ms=10_000, max_retries=1, dlq="dead"))
    own.shift(3_000)
    await own.service.nack([Nack((await own.claim_one()).receipt)])
    (dead,) = await own.messages("dead")
    assert dead.enqueued_at == enqueued_at
    assert dead.expires_at == (None if kept_ms is None else enqueued_at + ms(kept_ms))


async def test_a_dead_letter_whose_new_retention_is_over_is_not_delivered_and_soon_gone(own: Node):
    await own.create("dead", retention_ms=1_000)
    await own.enqueue(message(max_retries=1, dlq="dead"))
    own.shift(1_000)
    await own.service.nack([Nack((await own.claim_one()).receipt)])
    assert len(await own.messages("dead")) == 1
    assert await own.service.claim("dead") == []
    await own.sweep.clear()
    assert await own.messages("dead") == []


# Clearing


async def test_what_outlived_its_retention_is_deleted_and_counted(own: Node):
    await own.enqueue(message(retention_ms=1_000), message(retention_ms=1_001), message(retention_ms=500, delay_ms=900))
    await own.enqueue(message(retention_ms=1_000), queue="other")
    own.shift(1_000)
    assert await own.sweep.clear() is False
    assert own.observer.expired_count == 3
    assert (len(await own.messages()), len(await own.messages("other"))) == (1, 0)
    assert (await own.inspection.stats("orders"))[1].acked == 0


async def test_what_a_shorter_retention_of_its_queue_has_overtaken_is_deleted_and_counted(own: Node):
    await own.enqueue(message(retention_ms=None), message(retention_ms=60_000))
    await own.backend.catalog.put("orders", QueueSettings(retention_ms=10_000))
    own.shift(10_000)
    assert len(await own.messages()) == 2
    await own.sweep.clear()
    await own.sweep.clear()
    assert own.observer.expired_count == 1
    assert [m.expires_at for m in await own.messages()] == [own.clock.now() + ms(50_000)]


async def test_the_rows_of_a_purged_queue_are_deleted_and_not_counted_as_expired(own: Node):
    (one,) = await own.enqueue()
    await own.administration.purge("orders")
    assert await own.sweep.clear() is False
    assert own.observer.expired_count == 0
    assert await own.backend.store.tidy(10) == 0
    assert (await own.backend.stats.sight(one)) is None


@pytest.mark.parametrize(("over", "meaningless"), [(0, 0), (999, 0)])
async def test_where_there_is_little_it_is_looked_for_once(over: int, meaningless: int):
    own, store = cluttered(over, meaningless)
    assert await own.sweep.clear() is False
    assert store.asked == [("expire", PAGE_ROWS_MAX), ("tidy", PAGE_ROWS_MAX)]
    assert own.observer.expired_count == over


@pytest.mark.parametrize(("over", "meaningless"), [(1_000, 0), (2_500, 0), (0, 1), (0, 3_000), (1_500, 4_000)])
async def test_what_fills_some_pages_is_deleted_in_one_go(over: int, meaningless: int):
    own, store = cluttered(over, meaningless)
    assert await own.sweep.clear() is False
    assert (store.over, store.meaningless) == (0, 0)
    assert own.observer.expired_count == over


@pytest.mark.parametrize("kind", ["over", "meaningless"])
async def test_no_clearing_deletes_without_end_and_says_that_there_is_more(kind: str):
    much = PAGE_ROWS_MAX * (CLEARED_PAGES_MAX + 5)
    own, store = cluttered(**{kind: much})
    assert await own.sweep.clear() is True
    assert getattr(store, kind) == much - PAGE_ROWS_MAX * CLEARED_PAGES_MAX
    assert len(store.asked) == 2 * CLEARED_PAGES_MAX
    assert await own.sweep.clear() is False
    assert getattr(store, kind) == 0


async def test_the_sweeper_clears_and_goes_on_soon_where_there_is_more():
    own, store = cluttered(over=PAGE_ROWS_MAX * CLEARED_PAGES_MAX * 3)
    async with sweeping(own):
        assert store.over == PAGE_ROWS_MAX * CLEARED_PAGES_MAX * 2
        await own.advance(3 * LOOK_EVERY_MS)
        assert store.over == 0
        asked = len(store.asked)
        await own.advance(INTERVAL_MS - LOOK_EVERY_MS)
        assert len(store.asked) == asked
        await own.advance(2 * LOOK_EVERY_MS)
        assert len(store.asked) == asked + 2


async def test_the_sweeper_deletes_what_outlived_its_retention_within_its_interval(own: Node):
    async with sweeping(own):
        await own.enqueue(message(retention_ms=1_000))
        await own.advance(INTERVAL_MS)
        assert await own.messages() == []
    assert own.observer.expired_count == 1


async def test_a_clearing_that_failed_is_told_and_tried_again():
    plan = Plan(Fault.NONE, Fault.REFUSED)
    own = node(lambda store: FaultyStore(store, plan))
    await own.neighbour().enqueue(message(retention_ms=1_000))
    own.shift(1_000)
    async with sweeping(own):
        assert [type(error) for error, _ in own.observer.failures] == [StoreUnavailable]
        assert len(await own.messages()) == 1
        await own.advance(1_000)
        assert await own.messages() == []
    assert own.observer.expired_count == 1


async def test_two_sweepers_delete_each_message_once(own: Node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep_module, "PAGE_ROWS_MAX", 3)
    other = own.neighbour()
    await own.enqueue(*[message(retention_ms=1_000) for _ in range(20)])
    own.shift(1_000)
    await asyncio.gather(own.sweep.clear(), other.sweep.clear())
    assert own.observer.expired_count + other.observer.expired_count == 20
    assert await own.messages() == []
