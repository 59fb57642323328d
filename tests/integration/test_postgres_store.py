"""The PostgreSQL store passes the conformance suite."""

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from tests.conformance.suite import StoreConformance
from tests.conformance.world import World


class TestPostgresStore(StoreConformance):
    @pytest.fixture
    def world(self, postgres_backend: PostgresBackend, clock: VirtualClock) -> World:
        return World(postgres_backend, clock, postgres_backend.store)
