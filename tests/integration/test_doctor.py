"""The doctor on a real PostgreSQL: what is sound is fine, and what was broken is found with what to do."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from sqslite.adapters.examination import Finding, Health
from sqslite.adapters.stores.postgres import examining
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.domain.errors import StoreUnavailable
from tests.integration.postgres_server import fresh_database


@pytest.fixture
def url(postgres_server_url: str) -> Iterator[str]:
    with fresh_database(postgres_server_url) as fresh:
        yield fresh


@pytest.fixture
async def backend(url: str) -> AsyncIterator[PostgresBackend]:
    there = PostgresBackend(url)
    await there.open()
    yield there
    await there.close()


async def found(backend: PostgresBackend) -> dict[str, Finding]:
    return {finding.subject: finding for finding in await backend.examine()}


async def test_an_empty_database_lacks_the_schema(backend):
    assert (await found(backend))["schema"].advice == "run `sqslite migrate`"


async def test_a_sound_database_is_fine(backend):
    await backend.migrate()
    findings = await found(backend)
    subjects = ["schema", "server", "durability", "connections", "clock", "transactions", "indexes", "vacuum"]
    assert list(findings) == subjects
    assert [finding.subject for finding in findings.values() if finding.health is not Health.FINE] == []


async def test_an_old_transaction_is_named_with_its_process(backend, url, monkeypatch):
    await backend.migrate()
    monkeypatch.setattr(examining, "SNAPSHOT_S_MAX", 0.0)
    async with await psycopg.AsyncConnection.connect(url, application_name="reporting") as other:
        await other.execute("SELECT 1")
        await asyncio.sleep(0.01)
        finding = (await found(backend))["transactions"]
        assert finding.health is Health.WARNING
        assert f"process {other.info.backend_pid} (reporting)" in finding.found
        assert f"pg_terminate_backend({other.info.backend_pid})" in finding.advice


async def test_a_missing_index_is_named(backend, url):
    await backend.migrate()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        await other.execute("DROP INDEX sqslite.messages_ready")
    finding = (await found(backend))["indexes"]
    assert (finding.health, finding.found) == (Health.FAULT, "missing: messages_ready")


async def test_a_server_that_may_lose_commits_is_a_fault(backend, url):
    await backend.migrate()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        name = other.info.dbname
        await other.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    again = PostgresBackend(url)
    await again.open()
    finding = (await found(again))["durability"]
    await again.close()
    assert (finding.health, finding.found) == (Health.FAULT, "synchronous_commit off")


async def test_a_newer_schema_is_named_among_the_other_findings(backend, url):
    await backend.migrate()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        await other.execute("INSERT INTO sqslite.schema_migrations (version, name) VALUES (9999, '9999_next')")
    findings = await found(backend)
    assert findings["schema"].health is Health.FAULT
    assert findings["schema"].advice.startswith("upgrade this sqslite")
    assert findings["durability"].health is Health.FINE


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"dbname": "nope"}, 'database "nope" does not exist'),
        ({"user": "nobody_knows"}, 'role "nobody_knows" does not exist'),
        ({"port": 1, "host": "127.0.0.1"}, "Connection refused"),
    ],
)
async def test_what_keeps_from_connecting_is_said_at_once(url, broken, reason):
    backend = PostgresBackend(psycopg.conninfo.make_conninfo(url, **broken), connection_timeout_s=600)
    await backend.open()
    with pytest.raises(StoreUnavailable, match=f"^the database cannot be reached: .*{reason}"):
        await backend.examine()
    await backend.close()
