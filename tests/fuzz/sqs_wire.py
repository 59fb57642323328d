"""What holds for every request of the SQS API, whatever its bytes.

Raw requests are answered as AWS answers: in the protocol that they came in, with a result or a refusal of its own,
never a 5xx, never not at all. A call is answered alike in both protocols, down to each receipt handle, by two nodes
that are alike.
"""

import asyncio
import base64
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.sqs import json_protocol, query_protocol
from sqslite.entrypoints.sqs.actions import ACTIONS
from sqslite.entrypoints.sqs.app import SqsApp
from tests.unit.node import Node, message
from tests.unit.sqs.api import ACCOUNT, ARN, sqs_api
from tests.unit.sqs.query_model import JSON_MODEL, QUERY_MODEL

ACTIONS_IN_ORDER = sorted(ACTIONS)
MODELS = {"json": JSON_MODEL, "query": QUERY_MODEL}
SERIALIZERS = {protocol: create_serializer(protocol, include_validation=False) for protocol in MODELS}
PARSERS = {protocol: create_parser(protocol) for protocol in MODELS}
FORM = b"application/x-www-form-urlencoded"
CALLS_MAX = 6
# An answer that has not come by then comes with the end of a wait.
STEPS_MAX = 200
WAIT_MS_MAX = 20_000
QUEUES = (f"http://localhost/{ACCOUNT}/orders", f"/{ACCOUNT}/orders.fifo", "dead")
# Most of them sound, so that calls come far.
TEXTS = {
    "QueueUrl": (*QUEUES * 6, "nowhere", "", "http://[", "a b"),
    "QueueName": ("orders", "orders.fifo", "new", "new.fifo", "", "a b", "x" * 81),
    "Id": (*"abcdefghijklmnopqrstuvwxyz", "", "a b", "x" * 81),
    "MessageBody": ("x", "<é>\r\n", "😀", "{}", " ", "", "\x00", "y" * 2_000),
    "DataType": ("String", "Number", "Binary", "String.x", "Number.int", "Binary.gif", "", "string"),
    "SourceArn": (f"{ARN}dead", f"{ARN}orders", "arn"),
    "DestinationArn": (f"{ARN}orders", "arn"),
    "AttributeNames": ("All", "SenderId", "QueueArn", "Policy", "nothing"),
    "MessageSystemAttributeNames": ("All", "SentTimestamp", "nothing"),
    "MessageGroupId": ("g", "h", "", "a b"),
    "MessageDeduplicationId": ("d", "e", "", "é"),
    "ReceiveRequestAttemptId": ("try", "again", "a b"),
}
ANY_TEXTS = ("All", ".*", "AWSTraceHeader", "VisibilityTimeout", "1", "true", "{}", "\x00", "\x85\ufffe", "😀" * 200)
KEYS = (
    "AWSTraceHeader",
    "DelaySeconds",
    "VisibilityTimeout",
    "Policy",
    "RedrivePolicy",
    "FifoQueue",
    "a.b",
    "AWS.x",
    "",
)
NUMBERS = (0, 1, 10, 11, 20, 30, 900, 901, 43_200, 43_201, -1, 2**31, 2**63)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CODE = re.compile(r"[A-Za-z.]{1,80};Sender")


class Choices:
    """What a fuzzer's bytes choose; after their end the first of everything."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, count: int) -> int:
        """A number from 0 on."""
        byte = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return byte % count

    def one_of(self, values: Any) -> Any:
        """One of the values."""
        return values[self.below(len(values))]

    def text(self) -> str:
        """A text of its own."""
        size = self.below(24)
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece.decode("utf-8", "ignore")

    @property
    def over(self) -> bool:
        """Whether all bytes have been used."""
        return self._at >= len(self._data)


@dataclass
class Wire:
    """An application, and the node that it stands on."""

    app: SqsApp
    own: Node

    async def answer(self, method: str, query: bytes, headers: dict[bytes, bytes], body: bytes) -> "Answer":
        """What the application answers; a wait passes in no time."""
        sent: list[dict] = []
        events = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> dict:
            event = next(events, None)
            if event is None:
                await asyncio.Event().wait()
            return event or {}

        async def send(event: dict) -> None:
            sent.append(event)

        scope = {"type": "http", "method": method, "path": "/", "query_string": query, "headers": [*headers.items()]}
        call = asyncio.ensure_future(self.app(scope, receive, send))
        for step in range(STEPS_MAX):
            if call.done():
                break
            await asyncio.sleep(0)
            if step == STEPS_MAX // 2:
                await self.own.advance(WAIT_MS_MAX)
        assert call.done(), "there is no answer"
        call.result()
        return Answer(sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"])


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def check(self) -> None:
        """Raise AssertionError where AWS would not answer so."""
        assert self.status in (200, 400, 403, 404), (self.status, self.body)
        assert int(self.headers[b"content-length"]) == len(self.body)
        {
            json_protocol.CONTENT_TYPE: self._check_json,
            query_protocol.CONTENT_TYPE: self._check_xml,
            b"application/json": self._check_query_json,
        }[self.headers[b"content-type"]]()

    def _check_json(self) -> None:
        told = json.loads(self.body)
        assert isinstance(told, dict)
        if self.status != 200:
            assert set(told) == {"__type", "message"}, told
            assert _CODE.fullmatch(self.headers[b"x-amzn-query-error"].decode()), self.headers

    def _check_xml(self) -> None:
        root = ElementTree.fromstring(self.body)
        if self.body == query_protocol.NO_ACTION:
            assert self.status == 404
        elif self.status == 200:
            assert root.tag.endswith("Response"), root.tag
        else:
            assert root.findtext("{*}Error/{*}Code"), self.body
            assert root.findtext("{*}Error/{*}Type") == "Sender", self.body

    def _check_query_json(self) -> None:
        told = json.loads(self.body)
        assert ("Error" in told) == (self.status != 200), told


async def check_raw(data: bytes) -> None:
    """A request with these bytes as its body; the first choose its head."""
    choices = Choices(data[:4])
    action = choices.one_of(ACTIONS_IN_ORDER).encode()
    content_type = choices.one_of((FORM, b"application/x-amz-json-1.0", FORM + b"; charset=utf-8", b"text/plain"))
    headers = {b"host": b"localhost", b"content-type": content_type}
    head = choices.below(8)
    if head % 2:
        headers[b"x-amz-target"] = b"AmazonSQS." + action
    if head & 2:
        headers[b"accept"] = b"application/json"
    query = b"Action=" + action if head & 4 else b""
    async with sqs_api() as api:
        await _furnish(api.own)
        method = choices.one_of(("POST", "POST", "POST", "GET"))
        answer = await Wire(api.app, api.own).answer(method, query, headers, data[4:])
    answer.check()


async def check_calls(data: bytes) -> None:
    """Calls that these bytes choose, each in both protocols, on two nodes that are alike."""
    choices = Choices(data)
    handles = ["garbage"]
    async with sqs_api("json") as one, sqs_api("query") as other:
        wires = {"json": Wire(one.app, one.own), "query": Wire(other.app, other.own)}
        handles.append(await _furnish(one.own))
        assert await _furnish(other.own) == handles[-1]
        for _ in range(CALLS_MAX):
            action = choices.one_of(ACTIONS_IN_ORDER)
            parameters = structure(choices, MODELS["json"].operation_model(action).input_shape, handles)
            results = await _in_both(action, parameters, wires)
            for received in results.get("Messages", ()):
                handles.append(received["ReceiptHandle"])
            passed_s = choices.one_of((0, 1, 31, 301))
            for api in (one, other):
                api.shift(passed_s)
            if choices.over:
                break


async def _furnish(own: Node) -> str:
    """Three queues, and a message that is received; its handle."""
    await own.administration.put("dead", QueueSettings())
    await own.administration.put("orders", QueueSettings(dlq="dead", max_retries=1))
    await own.administration.put("orders.fifo", QueueSettings(fifo=True, dedup_by_content=True))
    await own.enqueue(message(group_id="g"), queue="orders.fifo")
    return (await own.claim_one("orders.fifo")).receipt.token()


async def _in_both(action: str, parameters: dict[str, Any], wires: dict[str, Wire]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    requests = {protocol: written(protocol, action, parameters) for protocol in wires}
    for protocol, wire in wires.items():
        headers, body = requests[protocol]
        answer = await wire.answer("POST", b"", headers, body)
        answer.check()
        told[protocol] = _read(protocol, action, answer)
    _check_read_alike(action, {protocol: body for protocol, (_, body) in requests.items()})
    assert told["json"] == told["query"], (action, parameters, told)
    return told["json"]


def written(protocol: str, action: str, parameters: dict[str, Any]) -> tuple[dict[bytes, bytes], bytes]:
    """The call as botocore writes it: headers and body."""
    request = SERIALIZERS[protocol].serialize_to_request(parameters, MODELS[protocol].operation_model(action))
    body = urlencode(request["body"]).encode() if protocol == "query" else request["body"]
    headers = {name.lower().encode(): value.encode() for name, value in request["headers"].items()}
    return {b"host": b"localhost", b"content-type": FORM, **headers}, body


def _read(protocol: str, action: str, answer: Answer) -> dict[str, Any]:
    response = {
        "status_code": answer.status,
        "headers": {name.decode(): value.decode() for name, value in answer.headers.items()},
        "body": answer.body,
    }
    parsed = PARSERS[protocol].parse(response, MODELS[protocol].operation_model(action).output_shape)
    metadata = parsed.pop("ResponseMetadata")
    if answer.status == 200:
        return {name: _as_xml_shows(value) for name, value in parsed.items() if value}
    return {"status": metadata["HTTPStatusCode"], "code": parsed["Error"]["Code"]}


def _as_xml_shows(value: Any) -> Any:
    """The value with what XML has no way to write replaced."""
    if isinstance(value, dict):
        return {_as_xml_shows(key): _as_xml_shows(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_as_xml_shows(inside) for inside in value]
    return _NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value


def _check_read_alike(action: str, bodies: dict[str, bytes]) -> None:
    """Both protocols' readers make the same of the call, or refuse it both."""
    asked = ACTIONS[action].asked
    made = []
    for protocol, body in bodies.items():
        try:
            read = json_protocol.read(body, asked) if protocol == "json" else _read_form(body, asked)
            made.append(_present(msgspec.to_builtins(read)))
        except Exception as refusal:
            made.append(type(refusal))
    assert made[0] == made[1], (action, bodies, made)


def _read_form(body: bytes, asked: Any) -> Any:
    return query_protocol.read(query_protocol.fields(body), asked)


def _present(value: Any) -> Any:
    """Without what a form cannot say: that something is there and empty."""
    if isinstance(value, dict):
        shown = {key: _present(inside) for key, inside in value.items()}
        return {key: inside for key, inside in shown.items() if inside not in (None, {}, [])}
    return [_present(inside) for inside in value] if isinstance(value, list) else value


def _value(choices: Choices, name: str, shape: Shape, handles: list[str]) -> Any:
    if isinstance(shape, StructureShape):
        return structure(choices, shape, handles)
    if isinstance(shape, ListShape):
        count = choices.one_of((1, 1, 2, 2, 3, 3, 10, 11))
        return [_value(choices, name, shape.member, handles) for _ in range(count)]
    if isinstance(shape, MapShape):
        count = 1 + choices.below(3)
        keys = [choices.one_of((*KEYS, choices.text())) for _ in range(count)]
        return {key: _value(choices, key, shape.value, handles) for key in keys}
    if shape.type_name == "integer":
        return choices.one_of(NUMBERS)
    if shape.type_name == "blob":
        return base64.b64encode(choices.text().encode())
    if name == "ReceiptHandle":
        return choices.one_of(handles)
    known = TEXTS.get(name)
    return choices.one_of(known if known and choices.below(8) else (choices.text(), *ANY_TEXTS))


def structure(choices: Choices, shape: StructureShape, handles: list[str]) -> dict[str, Any]:
    """A structure of that shape, as chosen; at least one member is in it."""
    required = shape.required_members
    drawn = {
        name: _value(choices, name, member, handles)
        for name, member in shape.members.items()
        # Lists of entries are told apart from none only in JSON, so there is always one.
        if name == "Entries" or (choices.below(32) if name in required else choices.below(4) == 1)
    }
    return drawn or {name: _value(choices, name, member, handles) for name, member in [*shape.members.items()][:1]}
