"""Long polls whose clients hang up, and long polls over REST."""

import asyncio
from collections.abc import Iterator

import pytest

from sqslite.adapters.wakeups import local
from sqslite.domain.asker import Asker
from sqslite.domain.errors import Overloaded
from sqslite.domain.limits import ms
from sqslite.domain.messages import Delivery
from sqslite.entrypoints.http import parking
from sqslite.entrypoints.http.parking import unless_gone
from tests.unit.node import Node, message
from tests.unit.polls import ids, parked, waited
from tests.unit.rest import rest
from tests.unit.test_wakeups import settled


@pytest.fixture
def own() -> Iterator[Node]:
    made, wakeups = waited()
    yield made
    assert not wakeups._watches
    assert wakeups._looking is None


# Clients that hang up


async def test_a_waiter_whose_client_left_waits_no_longer_and_leases_nothing(own: Node):
    client = Asker()
    there = await parked(own)
    gone = await parked(own, asker=client)
    client.leave()
    await settled()
    assert gone.result() == []
    sent = await own.enqueue()
    await settled()
    assert ids(there) == sent
    assert there.result()[0].message.delivery_count == 1


async def test_a_wake_up_for_one_that_just_left_goes_to_the_next(own: Node):
    client = Asker()
    gone = await parked(own, asker=client)
    there = await parked(own)
    sent = await own.enqueue()
    client.leave()
    await settled()
    assert (gone.result(), ids(there)) == ([], sent)


async def test_where_all_have_hung_up_the_message_stays(own: Node):
    client = Asker()
    gone = await parked(own, asker=client)
    await own.enqueue()
    client.leave()
    await settled()
    assert gone.result() == []
    assert (await own.claim_one()).message.delivery_count == 1


async def test_one_that_left_before_the_wait_does_not_wait(own: Node):
    client = Asker()
    client.leave()
    assert await own.service.claim("orders", 1, None, 20_000, client) == []


async def test_a_client_that_hangs_up_makes_room_for_another_wait(own: Node, monkeypatch):
    monkeypatch.setattr(parking, "WATCH_AFTER_S", 0)
    monkeypatch.setattr(local, "WAITERS_MAX", 2)
    there = await parked(own)
    client = Client()
    gone = asyncio.ensure_future(
        unless_gone(client, lambda asker: own.service.claim("orders", 1, None, 20_000, asker), own.service.release)
    )
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await own.service.claim("orders", 1, None, 20_000)
    client.gone.set()
    await settled()
    assert gone.result() == []
    another = await parked(own)
    await own.enqueue(message(), message())
    await settled()
    assert len(ids(there)) == len(ids(another)) == 1


class Client:
    """A request whose client may hang up."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def test_what_was_claimed_for_a_client_that_is_gone_is_released_at_once(own: Node, monkeypatch):
    monkeypatch.setattr(parking, "WATCH_AFTER_S", 0)
    await own.enqueue(message(), message())
    client = Client()

    async def claim(asker: Asker) -> list[Delivery]:
        claimed = await own.service.claim("orders", 10, None, None, asker)
        assert len(claimed) == 2
        await asyncio.sleep(0.01)
        client.gone.set()
        await settled()
        return claimed

    assert await unless_gone(client, claim, own.service.release) == []
    assert [delivery.message.delivery_count for delivery in await own.service.claim("orders")] == [2, 2]


async def test_a_receive_that_is_answered_at_once_does_not_watch_its_client(own: Node):
    await own.enqueue()

    class Unwatched:
        async def receive(self) -> dict[str, str]:
            raise AssertionError("nobody waits")

    (claimed,) = await unless_gone(Unwatched(), lambda asker: own.service.claim("orders", 1, asker=asker), _never)
    assert claimed.message.delivery_count == 1


@pytest.mark.parametrize("watch_after_s", [0, 60])
async def test_a_client_that_stays_gets_what_was_claimed_and_no_task_is_left(
    own: Node, watch_after_s: float, monkeypatch
):
    monkeypatch.setattr(parking, "WATCH_AFTER_S", watch_after_s)
    before = asyncio.all_tasks()
    sent = await own.enqueue()
    claimed = await unless_gone(Client(), lambda asker: own.service.claim("orders", 1, asker=asker), _never)
    assert [delivery.message.id for delivery in claimed] == sent
    await settled()
    assert asyncio.all_tasks() == before


async def _never(_: object) -> None:
    raise AssertionError("nothing is to be released")


# REST


async def test_a_receive_over_rest_waits_and_is_answered_with_the_message():
    async with rest() as api:
        poll = asyncio.ensure_future(api.receive(wait_ms=20_000))
        await settled()
        assert not poll.done()
        message_id = await api.enqueue()
        await settled()
        assert [message["id"] for message in poll.result()] == [message_id]
        empty = asyncio.ensure_future(api.receive(wait_ms=20_000))
        await settled()
        await api.clock.advance(ms(20_000))
        await settled()
        assert empty.result() == []


@pytest.mark.parametrize("sent", ["-1", "60001", '"1"', "1.5", "true"])
async def test_a_wait_that_is_none_is_refused_by_name_over_rest(sent: str):
    async with rest() as api:
        answer = await api.post("/v1/queues/orders:receive", f'{{"wait_ms":{sent}}}'.encode())
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("wait_ms must be ")
