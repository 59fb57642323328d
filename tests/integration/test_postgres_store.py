"""The PostgreSQL store passes the conformance suite, and holds where clients really run at once."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claim_cursor import AlwaysFromTheStart
from sqslite.domain.leases import Acked, Refusal
from sqslite.domain.lifecycle import State
from sqslite.domain.limits import ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Claim, RequeueAt
from sqslite.domain.queues import Queue, QueueSettings
from tests.conformance.suite import StoreConformance
from tests.conformance.world import World, message
from tests.integration.conftest import emptied

CLAIMERS = 8
MESSAGES = 2_000


class TestPostgresStore(StoreConformance):
    @pytest.fixture
    def world(self, postgres_backend: PostgresBackend, clock: VirtualClock) -> World:
        return World(postgres_backend, clock, postgres_backend.store)


async def _orders(backend: PostgresBackend) -> Queue:
    return await backend.catalog.ensure("orders", QueueSettings())


async def _claim(backend: PostgresBackend, queue: Queue, limit: int, visibility_ms: int = 60_000) -> list[Delivery]:
    claim = Claim(limit=limit, visibility_ms=visibility_ms, secrets=SystemEntropy().secrets(limit))
    return await backend.store.claim(queue, claim)


async def test_eight_claimers_at_once_take_two_thousand_messages_each_exactly_once(
    postgres_on_its_own_time: PostgresBackend,
):
    backend = postgres_on_its_own_time
    queue = await _orders(backend)
    ids = [accepted.id for accepted in await backend.store.enqueue(queue, [message() for _ in range(MESSAGES)])]
    taken: Counter[int] = Counter()

    async def take() -> None:
        # Short claims are allowed while others hold locks, so a claimer leaves only once all is taken.
        while len(taken) < MESSAGES:
            deliveries = await _claim(backend, queue, 7)
            taken.update(delivery.message.id for delivery in deliveries)
            receipts = [delivery.receipt for delivery in deliveries]
            outcomes = await backend.store.ack(queue.partition_id, receipts)
            assert all(isinstance(outcome, Acked) for outcome in outcomes)

    await asyncio.wait_for(asyncio.gather(*[take() for _ in range(CLAIMERS)]), 60)
    assert taken == Counter(ids)
    (depth,) = await backend.stats.depths([queue])
    assert (depth.ready, depth.delayed, depth.in_flight) == (0, 0, 0)


async def test_two_nodes_with_cursors_of_their_own_leave_nothing_behind(
    postgres_on_its_own_time: PostgresBackend, postgres_store_url: str
):
    one, other = postgres_on_its_own_time, PostgresBackend(postgres_store_url, cursor=AlwaysFromTheStart())
    await other.open()
    try:
        queue = await _orders(one)
        ids = [accepted.id for accepted in await one.store.enqueue(queue, [message() for _ in range(40)])]
        claimed = [d.message.id for node in (one, other, one, other) for d in await _claim(node, queue, 10)]
        assert sorted(claimed) == ids
    finally:
        await other.close()


async def test_time_is_the_databases_own(postgres_on_its_own_time: PostgresBackend):
    backend = postgres_on_its_own_time
    queue = await _orders(backend)
    (database_now,) = (await backend._connections.read(b"SELECT now()", []))[0]
    await backend.store.enqueue(queue, [message(), message(delay_ms=60_000)])
    (delivery,) = await _claim(backend, queue, 10, 1_000)
    assert database_now <= delivery.message.enqueued_at <= database_now + timedelta(seconds=10)
    assert delivery.message.enqueued_at.utcoffset() == UTC.utcoffset(None)
    assert delivery.message.lease_until - delivery.message.enqueued_at >= ms(1_000)
    due = await backend.store.next_due()
    assert due.at == delivery.message.lease_until
    while (await backend.store.next_due()).now < due.at:  # noqa: ASYNC110  # the server's time, not ours
        await asyncio.sleep(0.05)
    expired = await backend.store.expired(10)
    assert [lease.receipt for lease in expired.leases] == [delivery.receipt]
    assert expired.now >= due.at


async def test_messages_sent_at_real_speed_are_all_found_from_the_cursor(postgres_on_its_own_time: PostgresBackend):
    backend = postgres_on_its_own_time
    queue = await _orders(backend)
    for _ in range(50):
        await backend.store.enqueue(queue, [message()])
        assert len(await _claim(backend, queue, 1)) == 1


async def test_an_error_text_with_a_nul_is_kept_as_far_as_a_database_can(postgres_backend: PostgresBackend):
    queue = await _orders(postgres_backend)
    await postgres_backend.store.enqueue(queue, [message()])
    (delivery,) = await _claim(postgres_backend, queue, 1)
    held = await postgres_backend.store.held(queue.partition_id, [delivery.receipt])
    requeue = RequeueAt(held.leases[0], held.now, "a\0b")
    assert await postgres_backend.store.settle(queue.partition_id, [requeue]) == [True]
    (seen,) = await postgres_backend.stats.peek(queue.partition_id, State.READY, None, 1)
    assert seen.last_error == "a\N{REPLACEMENT CHARACTER}b"


async def test_an_id_that_no_message_can_have_is_missing(postgres_backend: PostgresBackend):
    assert await postgres_backend.store.ack_unproven([0, -1, 2**63, 2**200]) == [Refusal.MISSING] * 4


async def test_a_settlement_given_twice_in_one_call_is_applied_once(postgres_backend: PostgresBackend):
    queue = await _orders(postgres_backend)
    await postgres_backend.store.enqueue(queue, [message()])
    (delivery,) = await _claim(postgres_backend, queue, 1)
    held = await postgres_backend.store.held(queue.partition_id, [delivery.receipt])
    requeues = [RequeueAt(held.leases[0], held.now), RequeueAt(held.leases[0], held.now + ms(60_000))]
    assert await postgres_backend.store.settle(queue.partition_id, requeues) == [True, False]
    (seen,) = await postgres_backend.stats.peek(queue.partition_id, State.READY, None, 1)
    assert seen.not_before == held.now


class TestPostgresStoreWithoutCursor(StoreConformance):
    """The cursor is for speed alone: without it nothing is different."""

    @pytest.fixture
    async def world(self, postgres_store_url: str, clock: VirtualClock):
        backend = PostgresBackend(postgres_store_url, clock=clock, cursor=AlwaysFromTheStart())
        async for opened in emptied(backend):
            yield World(opened, clock, opened.store)


def test_the_virtual_clock_starts_at_another_time_than_the_servers(clock: VirtualClock):
    """Otherwise no test could tell the two apart."""
    assert abs(clock.now() - datetime.now(UTC)) > timedelta(days=1)


async def test_a_message_that_a_transaction_has_locked_holds_up_no_settlement_of_others(
    postgres_backend: PostgresBackend, postgres_store_url: str
):
    queue = await _orders(postgres_backend)
    await postgres_backend.store.enqueue(queue, [message(), message()])
    deliveries = await _claim(postgres_backend, queue, 2)
    held = await postgres_backend.store.held(queue.partition_id, [delivery.receipt for delivery in deliveries])
    settlements = [RequeueAt(lease, held.now) for lease in held.leases]
    async with await psycopg.AsyncConnection.connect(postgres_store_url) as user:
        await user.execute("SELECT FROM sqslite.messages WHERE id = %s FOR UPDATE", [deliveries[0].message.id])
        settled = await asyncio.wait_for(postgres_backend.store.settle(queue.partition_id, settlements), 2)
        assert settled == [False, True]
    assert await postgres_backend.store.settle(queue.partition_id, settlements) == [True, False]
