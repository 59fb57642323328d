"""The directory: what a node remembers of the catalog, for how long, and how much of it."""

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.memory.catalog import MemoryCatalog
from sqslite.adapters.stores.memory.state import MemoryState
from sqslite.domain import directory as directory_module
from sqslite.domain.directory import REMEMBERED_MS, QueueDirectory
from sqslite.domain.errors import StoreUnavailable
from sqslite.domain.limits import ms
from sqslite.domain.queues import Queue, QueueSettings


class AskedCatalog(MemoryCatalog):
    """Counts the questions, and answers none while it is `away`."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(MemoryState(clock))
        self.asked: list[str] = []
        self.away = False

    async def find(self, name: str) -> Queue | None:
        self.asked.append(name)
        if self.away:
            raise StoreUnavailable("away on purpose")
        return await super().find(name)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def catalog(clock: VirtualClock) -> AskedCatalog:
    return AskedCatalog(clock)


@pytest.fixture
def directory(catalog: AskedCatalog, clock: VirtualClock) -> QueueDirectory:
    return QueueDirectory(catalog, clock)


async def test_a_queue_is_asked_for_once_and_again_when_it_has_been_remembered_long_enough(directory, catalog, clock):
    made = await catalog.ensure("orders", QueueSettings())
    assert [await directory.find("orders") for _ in range(3)] == [made] * 3
    clock.shift(ms(REMEMBERED_MS - 1))
    assert await directory.find("orders") == made
    assert catalog.asked == ["orders"]
    clock.shift(ms(1))
    assert await directory.find("orders") == made
    assert catalog.asked == ["orders"] * 2


async def test_a_queue_made_elsewhere_is_seen_at_once(directory, catalog):
    assert await directory.find("orders") is None
    made = await catalog.ensure("orders", QueueSettings(max_retries=9))
    assert await directory.find("orders") == made
    assert await directory.ensure("orders") == made


async def test_an_unknown_queue_is_not_made_by_looking_for_it(directory, catalog):
    assert await directory.find("orders") is None
    assert await catalog.page("", 10) == []


async def test_ensuring_makes_a_queue_with_default_settings_and_remembers_it(directory, catalog):
    made = await directory.ensure("orders")
    assert (made.name, made.settings) == ("orders", QueueSettings())
    asked = list(catalog.asked)
    assert await directory.ensure("orders") == await directory.find("orders") == made
    assert catalog.asked == asked


async def test_ensuring_many_gives_each_by_its_name_once(directory, catalog):
    known = await catalog.ensure("known", QueueSettings(dlq="dead"))
    queues = await directory.ensure_all([("known", None), ("new", None), ("known", None)])
    assert set(queues) == {"known", "new"}
    assert queues["known"] == known
    assert queues["new"] == await catalog.find("new")
    assert await directory.ensure_all([]) == {}


async def test_a_queue_that_comes_into_being_for_anothers_messages_is_fifo_where_both_say_so(directory, catalog):
    ordered, other = [await catalog.ensure(name, QueueSettings(fifo=name == "b")) for name in "ba"]
    asked = [("1.fifo", ordered), ("2", ordered), ("3.fifo", other), ("4.fifo", None), ("a", ordered)]
    made = await directory.ensure_all(asked)
    assert {name: queue.settings.fifo for name, queue in made.items()} == {
        "1.fifo": True,
        "2": False,
        "3.fifo": False,
        "4.fifo": False,
        "a": False,
    }


async def test_no_more_queues_are_remembered_than_the_limit(directory, catalog, monkeypatch):
    monkeypatch.setattr(directory_module, "REMEMBERED_QUEUES_MAX", 2)
    for name in ("a", "b", "c"):
        await directory.ensure(name)
    catalog.asked.clear()
    for name in ("c", "b", "a"):
        await directory.find(name)
    assert catalog.asked == ["a"]


async def test_a_failure_of_the_catalog_is_told_and_not_remembered(directory, catalog):
    made = await catalog.ensure("orders", QueueSettings())
    catalog.away = True
    with pytest.raises(StoreUnavailable):
        await directory.find("orders")
    catalog.away = False
    assert await directory.find("orders") == made


# By partition


async def test_a_queue_is_known_by_its_partition_once_it_was_met(directory, catalog, clock):
    made = await catalog.ensure("orders", QueueSettings())
    assert directory.at(made.partition_id) is None
    await directory.find("orders")
    assert directory.at(made.partition_id) == made
    assert directory.at(made.partition_id + 1) is None
    # Nobody asks the catalog for that, so it is known for as long as there is room.
    clock.shift(ms(60 * REMEMBERED_MS))
    assert directory.at(made.partition_id) == made
    assert catalog.asked == ["orders"]


async def test_new_settings_are_known_by_partition_at_once(directory):
    await directory.ensure("orders")
    changed, _ = await directory.put("orders", QueueSettings(max_retries=9))
    assert directory.at(changed.partition_id) == changed


async def test_what_was_forgotten_is_asked_for_anew(directory, catalog):
    made = await directory.ensure("orders")
    directory.forget("orders")
    assert directory.at(made.partition_id) is None
    catalog.asked.clear()
    assert await directory.find("orders") == made
    assert catalog.asked == ["orders"]
    directory.forget("never met")


async def test_a_partition_that_a_queue_has_no_longer_is_not_its_own(directory, catalog, clock):
    old = await directory.ensure("orders")
    new = await catalog.renew("orders")
    assert directory.at(old.partition_id) == old
    clock.shift(ms(REMEMBERED_MS))
    assert await directory.find("orders") == new
    assert (directory.at(old.partition_id), directory.at(new.partition_id)) == (None, new)


async def test_no_more_partitions_are_remembered_than_queues(directory, monkeypatch):
    monkeypatch.setattr(directory_module, "REMEMBERED_QUEUES_MAX", 2)
    met = [await directory.ensure(name) for name in ("a", "b", "c")]
    assert [directory.at(queue.partition_id) for queue in met] == [None, *met[1:]]
    assert len(directory._by_partition) == 2
