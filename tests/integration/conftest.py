"""The one place that chooses the PostgreSQL for tests; they never go without."""

from collections.abc import AsyncIterator, Iterator

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claim_cursor import ClaimCursor
from tests.integration.postgres_server import PostgresServer, any_server, fresh_database

TABLES = [
    "messages",
    "queues",
    "message_groups",
    "dedup",
    "dropped_partitions",
    "totals",
    "redrives",
    "deleted_queues",
    "retention_changes",
]
# For a few rows this takes a twentieth of the time of a TRUNCATE, which gives every table and index a new file.
EMPTY = ";".join(
    [
        *(f"DELETE FROM sqslite.{table}" for table in TABLES),
        "SELECT setval(pg_get_serial_sequence('sqslite.messages', 'id'), 1, false)",
        "SELECT setval(pg_get_serial_sequence('sqslite.queues', 'partition_id'), 1, false)",
        "SELECT setval(pg_get_serial_sequence('sqslite.redrives', 'id'), 1, false)",
    ]
).encode()


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    with any_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """A database, empty at first, for tests that start processes on it."""
    with fresh_database(postgres_server_url) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_store_url(postgres_server_url: str) -> Iterator[str]:
    """A database for tests that empty it."""
    with fresh_database(postgres_server_url) as url:
        yield url


@pytest.fixture
def private_postgres() -> Iterator[PostgresServer]:
    """A running server that the test may kill."""
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def postgres_backend(postgres_store_url: str, clock: VirtualClock) -> AsyncIterator[PostgresBackend]:
    """Migrated and empty, at the clock's time; its claim cursor never rests between full scans."""
    cursor = ClaimCursor(full_scan_every_s=0, rest_per_scan=0)
    backend = PostgresBackend(postgres_store_url, clock=clock, cursor=cursor, pool_size=8)
    async for opened in emptied(backend):
        yield opened


@pytest.fixture
async def postgres_on_its_own_time(postgres_store_url: str) -> AsyncIterator[PostgresBackend]:
    """Migrated and empty, as in production."""
    async for opened in emptied(PostgresBackend(postgres_store_url, pool_size=8)):
        yield opened


async def emptied(backend: PostgresBackend) -> AsyncIterator[PostgresBackend]:
    await backend.open()
    try:
        await backend.migrate()
        await backend._connections.transact(lambda session: session.execute(EMPTY), seconds_max=10)
        yield backend
    finally:
        await backend.close()
