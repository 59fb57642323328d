"""The SQLite store passes the conformance suite."""

from pathlib import Path

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.sqlite.backend import SqliteBackend
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
