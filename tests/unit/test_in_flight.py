"""The limit on what is in flight: exact on one node, about right across nodes, and nothing is counted often."""

import asyncio

import pytest

from sqslite.domain.errors import InFlightLimit
from sqslite.domain.in_flight import READ_EVERY_MS, READ_FULL_EVERY_MS
from sqslite.domain.leases import Nack
from sqslite.domain.queues import QueueSettings
from tests.unit.node import Node, message, node
from tests.unit.rest import rest
from tests.unit.test_wakeups import settled


@pytest.fixture
async def own() -> Node:
    return await full(1)


async def full(count: int, *, leased: int = 0, **settings: object) -> Node:
    """A queue that allows three messages in flight and has so many more."""
    own = node()
    await own.administration.put("orders", QueueSettings(in_flight_max=3, **settings))
    await own.enqueue(*[message(group_id=f"g{n}") for n in range(3 + count)])
    if leased:
        assert len(await own.service.claim("orders", leased)) == leased
    return own


async def test_a_claim_gets_what_there_is_room_for_and_is_refused_where_there_is_none(own: Node):
    assert len(await own.service.claim("orders", 2)) == 2
    assert len(await own.service.claim("orders", 2)) == 1
    with pytest.raises(InFlightLimit, match=r"^queue orders allows about 3 messages in flight, and has as many$"):
        await own.service.claim("orders", 1)
    with pytest.raises(InFlightLimit):
        await own.service.claim("orders", 1, wait_ms=20_000)


@pytest.mark.parametrize("fair", [True, False])
async def test_fairness_is_no_way_around_it(fair: bool):
    own = await full(2, fair=fair)
    assert len(await own.service.claim("orders", 10)) == 3
    with pytest.raises(InFlightLimit):
        await own.service.claim("orders", 1)


async def test_a_fifo_queue_gives_nothing_more_and_a_wait_goes_on_until_there_is_room():
    own = await full(1, leased=3, fifo=True)
    assert await own.service.claim("orders", 1) == []
    waiting = asyncio.create_task(own.service.claim("orders", 1, wait_ms=20_000))
    await settled()
    await own.advance(5_000)
    assert not waiting.done()
    assert (await own.depth()).in_flight == 3
    await own.advance(15_000)
    assert await waiting == []


async def test_an_ack_makes_room_at_once(own: Node):
    deliveries = await own.service.claim("orders", 3)
    with pytest.raises(InFlightLimit):
        await own.service.claim("orders", 1)
    await own.service.ack([deliveries[0].receipt])
    assert len(await own.service.claim("orders", 3)) == 1


async def test_a_nack_and_what_other_nodes_do_make_room_within_a_moment(own: Node):
    other = own.neighbour()
    one, two, _ = await own.service.claim("orders", 3)
    with pytest.raises(InFlightLimit):
        await own.service.claim("orders", 1)
    await own.service.nack([Nack(one.receipt)])
    await other.service.ack([two.receipt])
    own.shift(READ_FULL_EVERY_MS)
    assert len(await own.service.claim("orders", 3)) == 2


async def test_what_another_node_leases_is_counted_within_a_second(own: Node):
    other = own.neighbour()
    assert len(await own.service.claim("orders", 1)) == 1
    assert len(await other.service.claim("orders", 2)) == 2
    own.shift(READ_EVERY_MS)
    with pytest.raises(InFlightLimit):
        await own.service.claim("orders", 1)


async def test_claims_at_the_same_time_do_not_take_more_than_there_is_room_for(own: Node):
    outcomes = await asyncio.gather(*[own.service.claim("orders", 2) for _ in range(4)], return_exceptions=True)
    assert sum(len(outcome) for outcome in outcomes if isinstance(outcome, list)) == 3


async def test_a_claim_that_finds_less_leaves_the_room_to_others(own: Node):
    await own.administration.put("empty", QueueSettings(in_flight_max=3))
    assert await own.service.claim("empty", 3) == []
    await own.enqueue(*[message() for _ in range(3)], queue="empty")
    assert len(await own.service.claim("empty", 3)) == 3


async def test_leases_are_counted_at_most_once_a_second_and_never_where_nothing_limits_them(monkeypatch):
    own = await full(100)
    await own.administration.put("free", QueueSettings())
    await own.enqueue(queue="free")
    counted: list[str] = []
    depths = own.backend.stats.depths

    async def noted(queues):
        counted.extend(queue.name for queue in queues)
        return await depths(queues)

    monkeypatch.setattr(own.backend.stats, "depths", noted)
    for _ in range(50):
        (delivery,) = await own.service.claim("orders", 1)
        await own.service.ack([delivery.receipt])
        await own.service.claim("free", 1)
    assert counted == ["orders"]
    own.shift(READ_EVERY_MS)
    await own.service.claim("orders", 1)
    assert counted == ["orders"] * 2


async def test_rest_says_when_to_try_again():
    async with rest() as api:
        await api.client.put("/v1/queues/orders", json={"in_flight_max": 1})
        await api.enqueue()
        await api.enqueue()
        assert len(await api.receive(max=2)) == 1
        answer = await api.client.post("/v1/queues/orders:receive", json={"max": 1})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.json() == {
            "error": "queue orders allows about 1 messages in flight, and has as many",
            "code": "too_many_in_flight",
        }
