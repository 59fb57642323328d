"""Both clients over real HTTP, on every store, do what the driving ports say."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sqslite import AsyncClient, Client
from tests.conformance.asking.asked import Asked, asked_in_threads, asked_through
from tests.conformance.asking.suite import AskedConformance
from tests.integration.server_process import serving


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgresql"])
def server_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    urls = {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{folder}/sqslite.db",
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
    }
    with serving(urls[request.param](), folder, LOG_LEVEL="warning") as server:
        yield server.url


class TestAsyncClient(AskedConformance):
    @pytest.fixture
    async def asked(self, server_url: str) -> AsyncIterator[Asked]:
        async with AsyncClient(server_url) as client:
            yield asked_through(client)


class TestClient(AskedConformance):
    @pytest.fixture
    def asked(self, server_url: str) -> Iterator[Asked]:
        with Client(server_url) as client:
            yield asked_in_threads(client)
