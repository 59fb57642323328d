"""The SQLite store passes the conformance suite."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import datetimes, just

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
from sqslite.adapters.stores.sqlite.rows import instant_of, stored_instant
from tests.conformance.suite import StoreConformance
from tests.conformance.world import World


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    async def world(self, tmp_path: Path):
        clock = VirtualClock()
        backend = SqliteBackend(tmp_path / "queue.db", clock)
        await backend.open()
        await backend.migrate()
        yield World(backend, clock, backend.store)
        await backend.close()


@given(datetimes(timezones=just(UTC)))
def test_instants_come_back_exactly(instant: datetime):
    assert instant_of(stored_instant(instant)) == instant
