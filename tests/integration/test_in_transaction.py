"""Enqueue and ack as SQL functions, in transactions of a plain client: with the commit it is there, or it never was."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from sqslite.adapters.clock import SystemClock, VirtualClock
from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.wakeups.hints import Hint, hint_of
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.adapters.wakeups.postgres import PostgresWakeups
from sqslite.domain.limits import ms
from sqslite.domain.messages import Delivery
from sqslite.domain.queues import Queue, QueueSettings
from tests.integration.messages import new_message
from tests.integration.sql_client import ack, claim, connected, enqueue, messages, only

# Long enough for a statement that need not wait, short enough to see that one does.
WAITS_S = 0.3
SOON_S_MAX = 10.0

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


async def claimed(backend: PostgresBackend, client: psycopg.AsyncConnection, **settings: Any) -> tuple[Queue, Delivery]:
    """A queue, and the delivery of a message that was committed to it."""
    queue = await backend.catalog.ensure("orders", QueueSettings(**settings))
    await enqueue(client, group_id="g")
    await client.commit()
    (delivery,) = await claim(backend, queue, 1)
    return queue, delivery


async def waits(task: asyncio.Future[Any]) -> bool:
    """Whether it has to wait for somebody."""
    done, _ = await asyncio.wait([task], timeout=WAITS_S)
    return not done


async def soon(task: asyncio.Future[Any]) -> Any:
    return await asyncio.wait_for(task, SOON_S_MAX)


# Committed it is there, rolled back it never was.


async def test_a_message_is_there_with_the_commit_and_not_before(backend, client):
    queue = await backend.catalog.ensure("orders", QueueSettings())
    message_id = await enqueue(client)
    assert await claim(backend, queue) == []
    await client.commit()
    assert [delivery.message.id for delivery in await claim(backend, queue)] == [message_id]


async def test_after_a_rollback_nothing_has_happened(backend, client):
    await enqueue(client, "new", group_id="g", dedup_id="d")
    await client.rollback()
    for table in ("queues", "messages", "message_groups", "dedup"):
        assert await only(client, f"SELECT count(*) FROM sqslite.{table}") == 0


async def test_waiters_are_told_with_the_commit_and_not_before(client, connect):
    async with connect() as listener:
        await listener.set_autocommit(True)
        await listener.execute("LISTEN sqslite_wakeups")
        await enqueue(client, "undone")
        await client.rollback()
        await enqueue(client)
        await enqueue(client, "delayed", delay_ms=1)
        assert [told async for told in listener.notifies(timeout=WAITS_S)] == []
        await client.commit()
        told = [hint_of(notice.payload) async for notice in listener.notifies(timeout=SOON_S_MAX, stop_after=1)]
        assert told == [Hint("orders", 1)]
        # Nobody need look for a duplicate.
        await enqueue(client, delay_ms=1, dedup_id="d")
        await enqueue(client, dedup_id="d")
        await client.commit()
        assert [told async for told in listener.notifies(timeout=WAITS_S)] == []


async def test_nobody_is_told_where_the_sender_has_turned_it_off(backend, client, connect):
    queue, delivery = await claimed(backend, client, fifo=True)
    async with connect() as listener:
        await listener.set_autocommit(True)
        await listener.execute("LISTEN sqslite_wakeups")
        await client.execute("SET LOCAL sqslite.wakeups = off")
        await enqueue(client, group_id="h")
        assert await ack(client, delivery.receipt.token()) is True
        await client.commit()
        assert [told async for told in listener.notifies(timeout=WAITS_S)] == []
        # That was for the one transaction.
        await enqueue(client, group_id="h")
        await client.commit()
        told = [hint_of(notice.payload) async for notice in listener.notifies(timeout=SOON_S_MAX, stop_after=1)]
    assert told == [Hint("orders", 1)]
    assert len(await claim(backend, queue)) == 2


async def test_a_waiting_receive_of_another_process_is_woken(client, postgres_store_url):
    # Time stands still, so the waiter does not look by itself.
    still = VirtualClock()
    wakeups = PostgresWakeups(LocalWakeups(still), postgres_store_url, SystemClock(), SystemEntropy())
    await wakeups.open()
    try:
        with wakeups.watching("orders") as watch:
            far = still.now() + ms(60_000)
            # The listener says once that it has begun to listen.
            await soon(asyncio.ensure_future(watch.wait(far)))
            woken = asyncio.ensure_future(watch.wait(far))
            await enqueue(client)
            assert await waits(woken)
            await client.commit()
            await soon(woken)
    finally:
        await wakeups.close()


# Queues, groups and duplicates, where transactions meet.


async def test_two_transactions_that_create_a_queue_create_one(backend, client, connect):
    async with connect() as other:
        await enqueue(client)
        second = asyncio.ensure_future(enqueue(other))
        assert await waits(second)
        await client.commit()
        await soon(second)
        await other.commit()
    assert len(await backend.catalog.page("", 10)) == 1
    assert len(await messages(backend)) == 2


async def test_order_within_a_group_is_that_of_the_commits(backend, client, connect):
    queue = await backend.catalog.ensure("orders", QueueSettings(fifo=True))
    async with connect() as other:
        first = await enqueue(client, group_id="g")
        await enqueue(other, group_id="another")
        second = asyncio.ensure_future(enqueue(other, group_id="g"))
        assert await waits(second)
        early = asyncio.ensure_future(claim(backend, queue))
        assert await waits(early) or early.result() == []
        await client.commit()
        await soon(second)
        await other.commit()
    taken = [*await soon(early), *await claim(backend, queue)]
    assert [delivery.message.id for delivery in taken if delivery.message.group_id == "g"] == [first, second.result()]
    assert first < second.result()


async def test_a_message_of_no_group_stands_among_the_groups_of_a_fair_queue(backend, client):
    queue = await backend.catalog.ensure("orders", QueueSettings(fair=True))
    ids = [await enqueue(client, group_id=group_id) for group_id in ("a", "a", "a", None)]
    await client.commit()
    taken = {delivery.message.id: delivery.message.group_id for delivery in await claim(backend, queue, 2)}
    assert taken == {ids[0]: "a", ids[3]: None}


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_duplicate_is_answered_with_the_first_id_and_not_kept(backend, client, fifo):
    queue = await backend.catalog.ensure("orders", QueueSettings(fifo=fifo))
    (served,) = await backend.store.enqueue(queue, [new_message(group_id="g", dedup_id="over the service")])
    first = await enqueue(client, group_id="g", dedup_id="in sql")
    assert await enqueue(client, group_id="h", dedup_id="in sql") == first
    assert await enqueue(client, group_id="g", dedup_id="over the service") == served.id
    await client.commit()
    (again,) = await backend.store.enqueue(queue, [new_message(group_id="g", dedup_id="in sql")])
    assert (again.id, again.duplicate) == (first, True)
    assert [message.id for message in await messages(backend)] == [served.id, first]


async def test_a_dedup_id_is_forgotten_after_the_time_that_the_queue_says(backend, client):
    await backend.catalog.ensure("orders", QueueSettings(dedup_ms=60_000))
    first = await enqueue(client, dedup_id="d")
    remembered = await only(client, "SELECT expires_at - now() FROM sqslite.dedup")
    assert timedelta(seconds=60) <= remembered < timedelta(seconds=70)
    await client.execute("UPDATE sqslite.dedup SET expires_at = now()")
    assert await enqueue(client, dedup_id="d") > first


@pytest.mark.parametrize("committed", [True, False])
async def test_whoever_sends_the_same_dedup_id_waits_for_the_outcome(backend, client, connect, committed):
    await backend.catalog.ensure("orders", QueueSettings())
    async with connect() as other:
        first = await enqueue(client, dedup_id="d")
        second = asyncio.ensure_future(enqueue(other, dedup_id="d"))
        assert await waits(second)
        await (client.commit() if committed else client.rollback())
        assert (await soon(second) == first) is committed
        await other.commit()
    assert [message.id for message in await messages(backend)] == [second.result()]


@pytest.mark.parametrize("drop", ["renew", "drop"])
async def test_a_purge_waits_for_what_is_being_enqueued_and_takes_it_along(backend, client, drop):
    old = await backend.catalog.ensure("orders", QueueSettings())
    await enqueue(client)
    purge = asyncio.ensure_future(getattr(backend.catalog, drop)("orders"))
    assert await waits(purge)
    await client.commit()
    await soon(purge)
    # It came before the cut, so it went with the rest: its partition was dropped and is tidied.
    assert await messages(backend) == []
    assert await only(client, "SELECT partition_id FROM sqslite.dropped_partitions") == old.partition_id
    assert await backend.store.tidy(100) >= 1
    await client.rollback()
    assert await only(client, "SELECT count(*) FROM sqslite.messages") == 0


async def test_what_is_enqueued_after_a_purge_is_there(backend, client, connect):
    await backend.catalog.ensure("orders", QueueSettings())
    async with connect() as purger:
        await purger.execute("UPDATE sqslite.queues SET partition_id = DEFAULT")
        enqueued = asyncio.ensure_future(enqueue(client))
        assert await waits(enqueued)
        await purger.commit()
        message_id = await soon(enqueued)
        await client.commit()
    assert [message.id for message in await messages(backend)] == [message_id]


async def test_an_enqueue_under_way_holds_up_neither_settings_nor_others(backend, client, connect):
    await backend.catalog.ensure("orders", QueueSettings())
    await enqueue(client)
    async with connect() as other:
        await soon(asyncio.ensure_future(backend.catalog.put("orders", QueueSettings(delay_ms=1))))
        await soon(asyncio.ensure_future(enqueue(other)))
        await other.commit()


# Ack.


async def test_an_ack_counts_with_the_commit(backend, client):
    _queue, delivery = await claimed(backend, client)
    assert await ack(client, delivery.receipt.token()) is True
    await client.commit()
    assert await messages(backend) == []
    assert await ack(client, delivery.receipt.token()) is False


async def test_after_an_ack_that_was_rolled_back_the_message_is_leased_as_before(backend, client):
    _queue, delivery = await claimed(backend, client)
    assert await ack(client, delivery.receipt.token()) is True
    await client.rollback()
    (message,) = await messages(backend)
    assert message.lease_until == delivery.message.lease_until
    assert await ack(client, delivery.receipt.token()) is True


async def test_a_superseded_receipt_acks_nothing(backend, client):
    queue, first = await claimed(backend, client)
    await client.execute("UPDATE sqslite.messages SET lease_until = NULL")
    await client.commit()
    (second,) = await claim(backend, queue)
    assert await ack(client, first.receipt.token()) is False
    assert await ack(client, second.receipt.token()) is True


async def test_a_receipt_from_before_a_purge_acks_nothing(backend, client):
    _queue, delivery = await claimed(backend, client)
    await backend.catalog.renew("orders")
    assert await ack(client, delivery.receipt.token()) is False


async def test_an_ack_lets_a_fifo_group_go_on_with_the_commit(backend, client, connect):
    queue, delivery = await claimed(backend, client, fifo=True)
    async with connect() as listener:
        await listener.set_autocommit(True)
        second = await enqueue(client, group_id="g")
        await client.commit()
        # From now on the group is known to be blocked.
        assert await claim(backend, queue) == []
        await listener.execute("LISTEN sqslite_wakeups")
        assert await ack(client, delivery.receipt.token()) is True
        early = asyncio.ensure_future(claim(backend, queue))
        assert await waits(early) or early.result() == []
        assert [told async for told in listener.notifies(timeout=0)] == []
        await client.commit()
        told = [hint_of(notice.payload) async for notice in listener.notifies(timeout=SOON_S_MAX, stop_after=1)]
    assert told == [Hint("orders", 1)]
    taken = [*await soon(early), *await claim(backend, queue)]
    assert [one.message.id for one in taken] == [second]


@pytest.mark.parametrize("settings", [{}, {"fair": True}], ids=str)
async def test_an_ack_wakes_nobody_where_nothing_waited_for_it(backend, client, connect, settings):
    _, delivery = await claimed(backend, client, **settings)
    async with connect() as listener:
        await listener.set_autocommit(True)
        await listener.execute("LISTEN sqslite_wakeups")
        assert await ack(client, delivery.receipt.token()) is True
        await client.commit()
        assert [told async for told in listener.notifies(timeout=WAITS_S)] == []


# Rights.


@pytest.fixture
async def role(client: psycopg.AsyncConnection) -> AsyncIterator[str]:
    """A role that owns nothing."""
    name = f"shop_{uuid.uuid4().hex[:12]}"
    await client.execute(f"CREATE ROLE {name}; GRANT USAGE ON SCHEMA sqslite TO {name}".encode())
    await client.commit()
    yield name
    await client.rollback()
    await client.execute(f"RESET ROLE; DROP OWNED BY {name}; DROP ROLE {name}".encode())
    await client.commit()


async def test_a_role_that_may_call_the_functions_needs_no_table(backend, client, role):
    _, delivery = await claimed(backend, client)
    await client.execute(f"GRANT EXECUTE ON FUNCTION sqslite.enqueue, sqslite.ack TO {role}; SET ROLE {role}".encode())
    await enqueue(client, "elsewhere", group_id="g", dedup_id="d")
    assert await ack(client, delivery.receipt.token()) is True
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await client.execute("SELECT FROM sqslite.messages")


@pytest.mark.parametrize(
    "call", ["enqueue('orders', '1')", "ack('a receipt')", "held_queue('orders')", "check_text('a', 'b', 1)"]
)
async def test_nobody_may_call_a_function_who_was_not_told_so(client, role, call):
    await client.execute(f"SET ROLE {role}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await client.execute(f"SELECT sqslite.{call}".encode())
