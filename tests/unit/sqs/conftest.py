"""Each test of the API runs in both protocols."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.sqs.api import Sqs, sqs_api


@pytest.fixture(params=["json", "query"])
async def sqs(request: pytest.FixtureRequest) -> AsyncIterator[Sqs]:
    async with sqs_api(request.param) as api:
        yield api
