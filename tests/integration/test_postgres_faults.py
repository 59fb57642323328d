"""What happens when PostgreSQL is killed, frozen, full, or gives a commit up: truth, in bounded time, and recovery."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest

from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres import connections
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.domain.errors import OutcomeUnknown, Overloaded, SqsliteError, StoreUnavailable
from sqslite.domain.leases import Acked
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Claim
from sqslite.domain.queues import Queue, QueueSettings
from tests.conformance.world import message
from tests.integration.postgres_server import PostgresServer

LONG_S = 60.0


@contextlib.asynccontextmanager
async def _opened(url: str, **options: float) -> AsyncIterator[PostgresBackend]:
    backend = PostgresBackend(url, **options)
    await backend.open()
    try:
        yield backend
    finally:
        await asyncio.wait_for(backend.close(), LONG_S)


async def _delivered(backend: PostgresBackend, count: int) -> list[Delivery]:
    await backend.migrate()
    queue = await backend.catalog.ensure("orders", QueueSettings())
    await backend.store.enqueue(queue, [message() for _ in range(count)])
    claim = Claim(limit=count, visibility_ms=60_000, secrets=SystemEntropy().secrets(count))
    return await backend.store.claim(queue, claim)


async def _sleeping(backend: PostgresBackend, *, writing: bool) -> asyncio.Task[object]:
    """A statement that is running on the server when this returns."""

    async def sleepers() -> int:
        sql = b"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        return (await backend._connections.read(sql, []))[0][0]

    before = await sleepers()
    run = backend._connections.write if writing else backend._connections.read
    task = asyncio.ensure_future(run(b"SELECT pg_sleep(30)", []))
    async with asyncio.timeout(LONG_S):
        while await sleepers() == before:  # noqa: ASYNC110  # it is the server that must come to it
            await asyncio.sleep(0.01)
    return task


async def test_a_server_killed_under_a_statement_tells_reads_from_writes_and_is_found_again(
    private_postgres: PostgresServer,
):
    async with _opened(private_postgres.url, connection_timeout_s=1, pool_size=4) as backend:
        await backend.migrate()
        write = await _sleeping(backend, writing=True)
        read = await _sleeping(backend, writing=False)
        private_postgres.kill()
        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(write, LONG_S)
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(read, LONG_S)
        then = datetime(2026, 1, 1, tzinfo=UTC)
        queue = Queue(name="orders", partition_id=1, created_at=then, changed_at=then)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await asyncio.wait_for(backend.store.enqueue(queue, [message()]), LONG_S)
        private_postgres.start()
        queue = await asyncio.wait_for(backend.catalog.ensure("orders", QueueSettings()), LONG_S)
        assert len(await backend.store.enqueue(queue, [message()])) == 1


async def test_calls_wait_out_a_short_restart_and_all_succeed(private_postgres: PostgresServer):
    """Idle connections that died with the server fail nobody."""
    async with _opened(private_postgres.url, connection_timeout_s=30, pool_size=8) as backend:
        await backend.migrate()
        await asyncio.gather(*[backend._connections.read(b"SELECT pg_sleep(0.2)", []) for _ in range(8)])
        private_postgres.kill()
        calls = [asyncio.ensure_future(backend.catalog.ensure(f"q{n}", QueueSettings())) for n in range(20)]
        await asyncio.to_thread(private_postgres.start)
        assert len(await asyncio.wait_for(asyncio.gather(*calls), LONG_S)) == 20


async def test_a_store_opens_without_its_server_and_finds_it_when_it_comes(private_postgres: PostgresServer):
    private_postgres.kill()
    async with _opened(private_postgres.url, connection_timeout_s=0.5) as backend:
        for call in (backend.ping, backend.migrate, backend.store.next_due):
            with pytest.raises(StoreUnavailable):
                await asyncio.wait_for(call(), LONG_S)
        await asyncio.to_thread(private_postgres.start)
        assert await asyncio.wait_for(backend.migrate(), LONG_S)


async def test_connections_ended_by_the_server_fail_no_later_call(private_postgres: PostgresServer):
    count = 2 * connections.DEAD_CONNECTIONS_MAX
    async with _opened(private_postgres.url, pool_size=count) as backend:
        await asyncio.gather(*[backend._connections.read(b"SELECT pg_sleep(1)", []) for _ in range(count)])
        with psycopg.connect(private_postgres.url, autocommit=True) as operator:
            ended = operator.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'sqslite'"
            ).fetchall()
        assert len(ended) == count
        started_s = time.monotonic()
        await backend.ping()
        await asyncio.gather(*[backend.ping() for _ in range(count)])
        assert time.monotonic() - started_s < backend._connections._connection_timeout_s


async def test_a_statement_ended_by_an_operator_was_rolled_back(private_postgres: PostgresServer):
    async with _opened(private_postgres.url) as backend:
        write = await _sleeping(backend, writing=True)
        with psycopg.connect(private_postgres.url, autocommit=True) as operator:
            operator.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(write, LONG_S)


async def test_a_frozen_server_holds_nobody_for_ever(private_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch):
    async with _opened(private_postgres.url, connection_timeout_s=1) as backend:
        receipts = [delivery.receipt for delivery in await _delivered(backend, 1)]
        monkeypatch.setattr(connections, "ANSWER_S_MAX", 0.5)
        private_postgres.freeze()
        try:
            with pytest.raises(OutcomeUnknown):
                await asyncio.wait_for(backend.store.ack(receipts[0].partition_id, receipts), LONG_S)
            with pytest.raises(SqsliteError):
                await asyncio.wait_for(backend.ping(), LONG_S)
        finally:
            private_postgres.thaw()
        await asyncio.wait_for(backend.ping(), LONG_S)


async def test_more_calls_than_connections_are_refused_as_overload_and_nobody_hangs(private_postgres: PostgresServer):
    async with _opened(private_postgres.url, pool_size=1, connection_timeout_s=0.5, waiters_max=1) as backend:
        await backend.ping()
        busy = asyncio.ensure_future(backend._connections.read(b"SELECT pg_sleep(2)", []))
        await asyncio.sleep(0.1)
        results = await asyncio.wait_for(
            asyncio.gather(*[backend.ping() for _ in range(3)], return_exceptions=True), 10
        )
        assert [type(result) for result in results] == [Overloaded] * 3
        await busy
        await backend.ping()


async def test_a_cancelled_write_runs_to_its_end_and_gives_its_connection_back(private_postgres: PostgresServer):
    async with _opened(private_postgres.url, pool_size=1) as backend:
        (delivery,) = await _delivered(backend, 1)
        receipt = delivery.receipt
        with psycopg.connect(private_postgres.url) as other:
            other.execute("SELECT FROM sqslite.messages FOR UPDATE")
            ack = asyncio.ensure_future(backend.store.ack(receipt.partition_id, [receipt]))
            await asyncio.sleep(0.3)
            ack.cancel()
            await asyncio.sleep(0.3)
            assert not ack.done()
            other.rollback()
        with pytest.raises(asyncio.CancelledError):
            await ack
        assert await backend.stats.sight(receipt.message_id) is None


async def test_a_deadlock_is_tried_again_and_nobody_notices(private_postgres: PostgresServer):
    async with _opened(private_postgres.url) as backend:
        first, second = [delivery.receipt for delivery in await _delivered(backend, 2)]
        other = await psycopg.AsyncConnection.connect(private_postgres.url)
        async with other:
            lock = "SELECT FROM sqslite.messages WHERE id = %s FOR UPDATE"
            await other.execute(lock, [second.message_id])
            ack = asyncio.ensure_future(backend.store.ack(first.partition_id, [first, second]))
            await asyncio.sleep(0.3)
            await other.execute(lock, [first.message_id])
            await other.rollback()
        outcomes = await asyncio.wait_for(ack, LONG_S)
        assert all(isinstance(outcome, Acked) for outcome in outcomes)
        (deadlocks,) = (await backend._connections.read(b"SELECT sum(deadlocks)::int FROM pg_stat_database", []))[0]
        assert deadlocks == 1


async def test_a_commit_that_no_standby_has_confirmed_is_no_success(private_postgres: PostgresServer):
    async with _opened(private_postgres.url, pool_size=2) as backend:
        receipts = [delivery.receipt for delivery in await _delivered(backend, 100)]
        with psycopg.connect(private_postgres.url, autocommit=True) as operator:
            operator.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            operator.execute("SELECT pg_reload_conf()")
            for receipt in receipts:
                ack = asyncio.ensure_future(backend.store.ack(receipt.partition_id, [receipt]))
                # Until the server's processes have heard of the setting, acks succeed.
                done, _ = await asyncio.wait([ack], timeout=0.5)
                if not done:
                    break
            waiters = operator.execute("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchall()
            operator.execute("SELECT pg_cancel_backend(%s)", waiters[0])
            with pytest.raises(OutcomeUnknown, match="standby"):
                await asyncio.wait_for(ack, LONG_S)
            async with asyncio.timeout(LONG_S):
                open_pids = "SELECT pid FROM pg_stat_activity WHERE application_name = 'sqslite'"
                while waiters[0] in operator.execute(open_pids).fetchall():  # noqa: ASYNC110  # the server must see it
                    await asyncio.sleep(0.01)


async def test_a_server_that_has_become_read_only_takes_no_writes_and_says_so(private_postgres: PostgresServer):
    async with _opened(private_postgres.url, pool_size=1) as backend:
        await backend.migrate()
        before = await backend._connections.read(b"SELECT pg_backend_pid()", [])
        with psycopg.connect(private_postgres.url, autocommit=True) as operator:
            operator.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            operator.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(0.3)
        with pytest.raises(StoreUnavailable, match="read-only"):
            await backend.catalog.ensure("orders", QueueSettings())
        # The one that takes writes may be another server by now: only a new connection finds it.
        assert await backend._connections.read(b"SELECT pg_backend_pid()", []) != before
        with psycopg.connect(private_postgres.url, autocommit=True) as operator:
            operator.execute("SET default_transaction_read_only = off")
            operator.execute("ALTER SYSTEM RESET default_transaction_read_only")
            operator.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(0.3)
        assert await backend.catalog.ensure("orders", QueueSettings())


async def test_a_closed_store_is_unavailable_and_opens_again(private_postgres: PostgresServer):
    backend = PostgresBackend(private_postgres.url)
    with pytest.raises(StoreUnavailable):
        await backend.ping()
    for _ in range(2):
        await backend.open()
        await backend.ping()
        await backend.close()
    with pytest.raises(StoreUnavailable):
        await backend.ping()
