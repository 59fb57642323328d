"""The SQS application in this process, over a memory store and a clock that the test moves.

A client speaks one of the two protocols by botocore's own serializers and parsers.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from sqslite.domain.queues import Defaults
from sqslite.entrypoints.sqs.app import Authorize, SqsApp, anybody
from sqslite.entrypoints.sqs.calls import SqsPorts
from tests.unit.node import Node, node
from tests.unit.sqs.query_model import JSON_MODEL, QUERY_MODEL

ACCOUNT = "000000000000"
HOST = "http://localhost:8080"
MODELS = {"json": JSON_MODEL, "query": QUERY_MODEL}
ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:"
REQUEST_BYTES_MAX = 8 * 1024 * 1024


class Refused(Exception):
    """The answer was an error."""

    def __init__(self, error: dict[str, Any], status: int) -> None:
        super().__init__(error["Code"], error["Message"])
        self.code: str = error["Code"]
        self.sentence: str = error["Message"]
        self.status = status
        self.error = error


@dataclass
class Sqs:
    """What a test speaks to."""

    own: Node
    http: httpx.AsyncClient
    protocol: str
    app: SqsApp
    answered: list[tuple[str, str, int]] = field(default_factory=list)

    async def __call__(self, action: str, **parameters: Any) -> dict[str, Any]:
        operation = MODELS[self.protocol].operation_model(action)
        serializer = create_serializer(self.protocol, include_validation=False)
        request = serializer.serialize_to_request(parameters, operation)
        body = urlencode(request["body"]).encode() if self.protocol == "query" else request["body"]
        answer = await self.http.post("/", content=body, headers=request["headers"])
        response = {"status_code": answer.status_code, "headers": answer.headers, "body": answer.content}
        parsed = create_parser(self.protocol).parse(response, operation.output_shape)
        if answer.status_code >= 300:
            raise Refused(parsed["Error"], answer.status_code)
        assert parsed.pop("ResponseMetadata")["HTTPStatusCode"] == 200
        return parsed

    async def create(self, name: str = "orders", **attributes: str) -> str:
        if name.endswith(".fifo"):
            attributes.setdefault("FifoQueue", "true")
        url = (await self("CreateQueue", QueueName=name, Attributes=attributes))["QueueUrl"]
        return str(url)

    async def send(self, url: str, body: str = "hello", **fields: Any) -> dict[str, Any]:
        return await self("SendMessage", QueueUrl=url, MessageBody=body, **fields)

    async def receive(self, url: str, count: int = 10, **fields: Any) -> list[dict[str, Any]]:
        answer = await self("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=count, **fields)
        return answer.get("Messages", [])

    async def bodies(self, url: str, count: int = 10, **fields: Any) -> list[str]:
        return [message["Body"] for message in await self.receive(url, count, **fields)]

    async def delete(self, url: str, message: dict[str, Any]) -> None:
        await self("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    async def attributes(self, url: str, *names: str) -> dict[str, str]:
        answer = await self("GetQueueAttributes", QueueUrl=url, AttributeNames=list(names or ("All",)))
        return answer.get("Attributes", {})

    async def counts(self, url: str) -> tuple[int, int, int]:
        """Ready, in flight, delayed."""
        names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
        found = await self.attributes(url, *names)
        ready, in_flight, delayed = (int(found[name]) for name in names)
        return ready, in_flight, delayed

    def refuses(self, code: str, sentence: str | None = None, status: int = 400) -> "Refusal":
        return Refusal(self.protocol, code, sentence, status)

    def shift(self, seconds: float) -> None:
        self.own.shift(int(seconds * 1_000))


@dataclass
class Refusal:
    """Holds an expected refusal to its code, sentence and status."""

    protocol: str
    code: str
    sentence: str | None
    status: int

    def __enter__(self) -> None:
        self._raises = pytest.raises(Refused)
        self._caught = self._raises.__enter__()

    def __exit__(self, *exc: Any) -> bool:
        swallowed = bool(self._raises.__exit__(*exc))
        if swallowed:
            refused = self._caught.value
            assert (refused.code, refused.status) == (self.code, self.status)
            assert refused.error["Type"] == "Sender"
            if self.sentence is not None:
                assert refused.sentence == self.sentence
        return swallowed


@contextlib.asynccontextmanager
async def sqs_api(
    protocol: str = "json",
    *,
    strict_timing: bool = True,
    defaults: Defaults | None = None,
    authorize: Authorize = anybody,
    host: str = HOST,
    account: str = ACCOUNT,
) -> AsyncIterator[Sqs]:
    defaults = defaults or Defaults()
    own = node(defaults=defaults)
    ports = SqsPorts(
        service=own.service,
        administration=own.administration,
        directory=own.directory,
        inspection=own.inspection,
        redriving=own.redriving,
        clock=own.clock,
        defaults=defaults,
        strict_timing=strict_timing,
        account=account,
    )
    answered: list[tuple[str, str, int]] = []
    app = SqsApp(
        ports, lambda method, route, status, _s: answered.append((method, route, status)), REQUEST_BYTES_MAX, authorize
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=host) as client:
        yield Sqs(own, client, protocol, app, answered)
