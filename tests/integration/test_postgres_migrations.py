"""Migrations of PostgreSQL: once, whoever comes first, and never backwards."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from sqslite.adapters.migrations import load_migrations
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.domain.errors import SchemaTooNew, StoreUnavailable
from tests.integration.postgres_server import fresh_database

NODES = 8
NAMES = [migration.name for migration in load_migrations("postgres")]


@pytest.fixture
def url(postgres_server_url: str) -> Iterator[str]:
    with fresh_database(postgres_server_url) as fresh:
        yield fresh


@pytest.fixture
async def backend(url: str) -> AsyncIterator[PostgresBackend]:
    backend = PostgresBackend(url)
    await backend.open()
    yield backend
    await backend.close()


async def test_nodes_that_migrate_at_once_do_it_once(url: str):
    nodes = [PostgresBackend(url, pool_size=1) for _ in range(NODES)]
    try:
        await asyncio.gather(*[node.open() for node in nodes])
        applied = await asyncio.gather(*[node.migrate() for node in nodes])
    finally:
        await asyncio.gather(*[node.close() for node in nodes])
    assert sorted(applied) == [*[[] for _ in range(NODES - 1)], NAMES]


async def test_a_schema_of_a_newer_sqslite_is_left_alone(backend: PostgresBackend):
    await backend.migrate()
    newer = b"INSERT INTO sqslite.schema_migrations (version, name) VALUES (9999, '9999_the_future') RETURNING version"
    await backend._connections.write(newer, [])
    with pytest.raises(SchemaTooNew, match="9999"):
        await backend.migrate()


async def test_a_migration_that_fails_leaves_nothing_behind(backend: PostgresBackend):
    await backend._connections.transact(_taken_name, seconds_max=10)
    with pytest.raises(Exception, match="messages"):
        await backend.migrate()
    assert await backend._connections.read(b"SELECT to_regclass('sqslite.schema_migrations')::text", []) == [(None,)]


async def _taken_name(session) -> None:
    await session.execute(b"CREATE SCHEMA sqslite")
    await session.execute(b"CREATE TABLE sqslite.messages ()")


async def test_without_a_schema_calls_say_what_to_do(backend: PostgresBackend):
    await backend.ping()
    with pytest.raises(StoreUnavailable, match="sqslite migrate"):
        await backend.catalog.find("orders")
