"""The driving ports in this process: the domain's services, clients on them, and the client over the application."""

from collections.abc import AsyncIterator

import pytest

from sqslite import AsyncClient, Client
from sqslite.adapters.client.connections import AsyncConnections, Options
from sqslite.adapters.entropy import SeededEntropy
from sqslite.domain.limits import ms
from sqslite.domain.messages import BodyKind
from tests.conformance.asking.asked import Asked, asked_in_threads, asked_through, message
from tests.conformance.asking.suite import AskedConformance
from tests.unit.asgi_pool import AsgiPool
from tests.unit.node import node
from tests.unit.rest import rest


class TestServices(AskedConformance):
    @pytest.fixture
    async def asked(self) -> Asked:
        own = node()
        return Asked(own.service, own.administration, own.inspection, own.redriving, own.advance)


class ClientConformance(AskedConformance):
    async def test_white_space_around_json_is_no_part_of_it_and_around_text_it_is(self, asked: Asked):
        sent = b' \r\n\t{ "a" : 1 } \n'
        await asked.enqueue(message(sent), message(sent, body_kind=BodyKind.TEXT))
        assert [delivery.message.body for delivery in await asked.claim()] == [b'{ "a" : 1 }', sent]


class TestClientOverRest(ClientConformance):
    @pytest.fixture
    async def asked(self) -> AsyncIterator[Asked]:
        async with rest(body_bytes_max=2**20, request_bytes_max=7 * 2**20) as server:
            way = AsyncConnections("http://sqslite", Options(), SeededEntropy(), AsgiPool(server.app))
            async with AsyncClient.through(way) as client:
                asked = asked_through(client)
                asked.pass_time = lambda milliseconds: server.clock.advance(ms(milliseconds))
                yield asked


class TestClientOnMemory(ClientConformance):
    @pytest.fixture
    async def asked(self) -> AsyncIterator[Asked]:
        async with AsyncClient("memory://") as client:
            yield asked_through(client)


class TestBlockingClientOnMemory(ClientConformance):
    @pytest.fixture
    def asked(self):
        with Client("memory://") as client:
            yield asked_in_threads(client)
