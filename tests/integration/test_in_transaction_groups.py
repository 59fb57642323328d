"""Groups while a client's transaction that enqueues or acks lasts: who passes, who waits, and what order holds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
import pytest

from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.domain.leases import Acked, Lease, Refusal
from sqslite.domain.limits import ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Extension, RequeueAt
from sqslite.domain.queues import Queue, QueueSettings
from tests.conformance.world import message
from tests.integration.sql_client import ack, claim, connected, enqueue, messages, only

# Long enough for a statement that need not wait, short enough to see that one does.
WAITS_S = 0.3
SOON_S_MAX = 3.0
LEFT = "SELECT (SELECT count(*) FROM sqslite.group_changes) + (SELECT count(*) FROM sqslite.message_groups)"

Connect = Callable[[], AbstractAsyncContextManager[psycopg.AsyncConnection]]


@pytest.fixture
def backend(postgres_on_its_own_time: PostgresBackend) -> PostgresBackend:
    return postgres_on_its_own_time


@pytest.fixture
def connect(backend: PostgresBackend, postgres_store_url: str) -> Connect:
    return lambda: connected(postgres_store_url)


@pytest.fixture
async def client(connect: Connect) -> AsyncIterator[psycopg.AsyncConnection]:
    async with connect() as connection:
        yield connection


async def soon(coroutine: Any) -> Any:
    """Its result, for which nobody in a transaction need be waited for."""
    return await asyncio.wait_for(coroutine, SOON_S_MAX)


async def waiting(coroutine: Any) -> asyncio.Future[Any]:
    """What waits for somebody in a transaction."""
    task = asyncio.ensure_future(coroutine)
    done, _ = await asyncio.wait([task], timeout=WAITS_S)
    assert not done
    return task


async def queue_of(backend: PostgresBackend, **settings: Any) -> Queue:
    return await backend.catalog.ensure("orders", QueueSettings(**settings))


async def sent(backend: PostgresBackend, queue: Queue, *groups: str) -> list[int]:
    return [one.id for one in await backend.store.enqueue(queue, [message(group_id=group) for group in groups])]


def ids(deliveries: list[Delivery]) -> list[int]:
    return [delivery.message.id for delivery in deliveries]


async def lease_of(backend: PostgresBackend, delivery: Delivery) -> Lease:
    (lease,) = (await backend.store.held(delivery.receipt.partition_id, [delivery.receipt])).leases
    assert not isinstance(lease, Refusal)
    return lease


@pytest.mark.parametrize("settings", [{"fifo": True}, {"fair": True}], ids=str)
async def test_who_has_messages_of_a_group_does_with_them_as_ever_while_somebody_enqueues_to_it(
    backend, client, settings
):
    queue = await queue_of(backend, **settings)
    ids_before = await sent(backend, queue, *"gggg")
    last = await enqueue(client, group_id="g")
    one, two, three, four = await soon(claim(backend, queue))
    assert ids([one, two, three, four]) == ids_before
    store, partition_id = backend.store, queue.partition_id
    assert isinstance((await soon(store.ack(partition_id, [one.receipt])))[0], Acked)
    assert isinstance((await soon(store.ack_unproven([two.message.id])))[0], Acked)
    lease = await lease_of(backend, three)
    assert await soon(store.settle(partition_id, [RequeueAt(lease, lease.lease_until - ms(60_000))])) == [True]
    (until,) = await soon(store.extend(partition_id, [Extension(three.receipt, 30_000)]))
    assert until > lease.lease_until - ms(60_000)
    assert isinstance((await soon(store.ack(partition_id, [three.receipt])))[0], Acked)
    assert isinstance((await soon(store.ack(partition_id, [four.receipt])))[0], Acked)
    # Nothing is left of the group but what is not committed yet.
    assert await soon(claim(backend, queue)) == []
    await client.commit()
    assert ids(await claim(backend, queue)) == [last]


@pytest.mark.parametrize("settings", [{"fifo": True}, {"fair": True}], ids=str)
@pytest.mark.parametrize("outcome", ["commit", "rollback"])
async def test_who_has_messages_of_a_group_does_with_them_as_ever_while_somebody_acks_one(
    backend, client, settings, outcome
):
    queue = await queue_of(backend, **settings)
    await sent(backend, queue, *"ggg")
    one, two, three = await claim(backend, queue)
    assert await ack(client, one.receipt.token()) is True
    (later,) = await soon(sent(backend, queue, "g"))
    assert isinstance((await soon(backend.store.ack(queue.partition_id, [two.receipt])))[0], Acked)
    lease = await lease_of(backend, three)
    requeued = RequeueAt(lease, lease.lease_until - ms(60_000))
    assert await soon(backend.store.settle(queue.partition_id, [requeued])) == [True]
    free = [three.message.id, later]
    assert ids(await soon(claim(backend, queue))) == ([] if settings.get("fifo") else free)
    await getattr(client, outcome)()
    still_held = [] if outcome == "commit" else [one.message.id]
    assert [m.id for m in await messages(backend) if m.delivery_count] == sorted(
        still_held + (free if settings.get("fair") else [three.message.id])
    )
    if settings.get("fifo"):
        assert ids(await claim(backend, queue)) == (free if outcome == "commit" else [])


async def test_whoever_else_enqueues_to_a_fifo_group_comes_after_the_commit(backend, client, connect):
    queue = await queue_of(backend, fifo=True)
    (before,) = await sent(backend, queue, "g")
    first = await enqueue(client, group_id="g")
    # Repeated in one transaction, a group is locked already.
    second = await enqueue(client, group_id="g")
    async with connect() as other:
        in_sql = await waiting(enqueue(other, group_id="g"))
        deduplicated = message(group_id="g", dedup_id="d")
        served = [
            await waiting(backend.store.enqueue(queue, [message(group_id="g"), message(group_id="h")])),
            await waiting(backend.store.enqueue(queue, [deduplicated])),
        ]
        (elsewhere,) = await soon(sent(backend, queue, "i"))
        assert ids(await soon(claim(backend, queue))) == [before, elsewhere]
        await client.commit()
        in_sql_id = await soon(in_sql)
        await other.commit()
        served_ids = [(await soon(one))[0].id for one in served]
    await backend.store.ack_unproven([before])
    taken = [one.message.id for one in await claim(backend, queue) if one.message.group_id == "g"]
    assert taken == [first, second, *sorted([in_sql_id, *served_ids])]


async def test_whoever_enqueues_to_a_fair_group_waits_for_nobody(backend, client, connect):
    queue = await queue_of(backend, fair=True)
    first = await enqueue(client, group_id="g")
    async with connect() as other:
        second = await soon(enqueue(other, group_id="g"))
        (third,) = await soon(sent(backend, queue, "g"))
        await other.commit()
    assert ids(await claim(backend, queue)) == [second, third]
    await client.commit()
    assert ids(await claim(backend, queue)) == [first]


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
async def test_a_fifo_group_that_is_emptied_meanwhile_is_there_again_with_the_commit(backend, client, outcome):
    queue = await queue_of(backend, fifo=True)
    await sent(backend, queue, "g")
    last = await enqueue(client, group_id="g")
    (delivery,) = await claim(backend, queue)
    await backend.store.ack(queue.partition_id, [delivery.receipt])
    assert await soon(claim(backend, queue)) == []
    await getattr(client, outcome)()
    assert ids(await claim(backend, queue)) == ([last] if outcome == "commit" else [])
    (later,) = await soon(sent(backend, queue, "g"))
    await backend.store.ack_unproven([last])
    assert ids(await claim(backend, queue)) == [later]


async def test_a_new_group_is_nobodys_before_the_commit_and_nothing_after_a_rollback(backend, client):
    queue = await queue_of(backend, fifo=True)
    await enqueue(client, group_id="g")
    assert await soon(claim(backend, queue)) == []
    after = await waiting(sent(backend, queue, "g"))
    await client.rollback()
    later = await soon(after)
    assert ids(await claim(backend, queue)) == later


async def test_groups_keep_nothing_of_transactions_that_are_over(backend, client):
    queue = await queue_of(backend, fifo=True)
    for name in ("a", "b", "a"):
        await enqueue(client, group_id=name)
    await client.commit()
    await enqueue(client, group_id="c")
    await client.rollback()
    deliveries = await claim(backend, queue)
    assert len(deliveries) == 3
    for delivery in deliveries:
        assert await ack(client, delivery.receipt.token()) is True
    await client.commit()
    assert await claim(backend, queue) == []
    assert await only(client, LEFT) == 0
