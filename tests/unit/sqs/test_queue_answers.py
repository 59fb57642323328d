"""The answers and refusals of the queues' actions as they are on the wire, held to botocore's model."""

import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.serialize import create_serializer

from sqslite.entrypoints.sqs.actions import ACTIONS
from tests.unit.sqs.api import ARN, HOST, Sqs, sqs_api
from tests.unit.sqs.query_model import JSON_MODEL, QUERY_MODEL

NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
URL = f"{HOST}/000000000000/orders"
REDRIVE = json.dumps({"deadLetterTargetArn": f"{ARN}dead", "maxReceiveCount": 1})
PERMISSION = {"QueueUrl": URL, "Label": "l", "AWSAccountIds": ["1"], "Actions": ["SendMessage"]}
MOVE = ("StartMessageMoveTask", {"SourceArn": f"{ARN}dead"})
# By action: the call, and the calls before it.
CALLS: dict[str, tuple[dict, list[tuple[str, dict]]]] = {
    "AddPermission": (PERMISSION, []),
    "CancelMessageMoveTask": ({"TaskHandle": "{TaskHandle}"}, [MOVE]),
    "CreateQueue": ({"QueueName": "new", "Attributes": {"DelaySeconds": "1"}, "tags": {"a": "b"}}, []),
    "DeleteQueue": ({"QueueUrl": URL}, []),
    "GetQueueAttributes": ({"QueueUrl": URL, "AttributeNames": ["All"]}, []),
    "GetQueueUrl": ({"QueueName": "orders"}, []),
    "ListDeadLetterSourceQueues": ({"QueueUrl": f"{HOST}/000000000000/dead", "MaxResults": 1}, []),
    "ListMessageMoveTasks": ({"SourceArn": f"{ARN}dead"}, [MOVE]),
    "ListQueueTags": ({"QueueUrl": URL}, [("TagQueue", {"QueueUrl": URL, "Tags": {"a": "b = c"}})]),
    "ListQueues": ({"MaxResults": 1}, []),
    "PurgeQueue": ({"QueueUrl": URL}, []),
    "RemovePermission": ({"QueueUrl": URL, "Label": "l"}, [("AddPermission", PERMISSION)]),
    "SetQueueAttributes": ({"QueueUrl": URL, "Attributes": {"DelaySeconds": "2"}}, []),
    "StartMessageMoveTask": (*MOVE[1:], []),
    "TagQueue": ({"QueueUrl": URL, "Tags": {"a": "b"}}, []),
    "UntagQueue": ({"QueueUrl": URL, "TagKeys": ["a"]}, []),
}


async def answer(sqs: Sqs, action: str, members: dict) -> httpx.Response:
    model = {"json": JSON_MODEL, "query": QUERY_MODEL}[sqs.protocol]
    serializer = create_serializer(sqs.protocol, include_validation=False)
    request = serializer.serialize_to_request(members, model.operation_model(action))
    body = urlencode(request["body"]) if sqs.protocol == "query" else request["body"]
    return await sqs.http.post("/", content=body, headers=request["headers"])


async def called(sqs: Sqs, action: str) -> httpx.Response:
    await sqs.create("dead")
    await sqs.create(RedrivePolicy=REDRIVE)
    members, before = CALLS[action]
    told: dict[str, Any] = {}
    for earlier, its in before:
        told |= await sqs(earlier, **its)
    return await answer(sqs, action, {k: told["TaskHandle"] if v == "{TaskHandle}" else v for k, v in members.items()})


def check(value: Any, shape: Shape, place: str) -> None:
    """Whether the JSON is of the shape, with all members that it needs and no other."""
    if isinstance(shape, StructureShape):
        assert isinstance(value, dict), place
        assert set(value) <= set(shape.members), place
        assert set(value) >= set(shape.required_members), place
        for name, inside in value.items():
            check(inside, shape.members[name], f"{place}.{name}")
    elif isinstance(shape, MapShape):
        assert isinstance(value, dict), place
        for name, inside in value.items():
            check(name, shape.key, place)
            check(inside, shape.value, f"{place}.{name}")
    elif isinstance(shape, ListShape):
        assert isinstance(value, list), place
        for inside in value:
            check(inside, shape.member, place)
    else:
        assert type(value) is {"string": str, "integer": int, "long": int}[shape.type_name], place


def test_all_actions_that_are_not_about_messages_are_called_here():
    of_messages = ("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")
    assert set(CALLS) == {name for name in ACTIONS if not name.startswith(of_messages)}


@pytest.mark.parametrize("action", CALLS)
async def test_answers_in_json(action: str):
    async with sqs_api("json") as sqs:
        told = await called(sqs, action)
    assert (told.status_code, told.headers["content-type"]) == (200, "application/x-amz-json-1.0")
    assert int(told.headers["content-length"]) == len(told.content)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", told.headers["x-amzn-requestid"])
    assert "x-amzn-query-error" not in told.headers
    shape = JSON_MODEL.operation_model(action).output_shape
    if shape is None:
        assert told.content == b"{}"
    else:
        check(told.json(), shape, action)


@pytest.mark.parametrize("action", CALLS)
async def test_answers_in_xml(action: str):
    async with sqs_api("query") as sqs:
        told = await called(sqs, action)
    assert (told.status_code, told.headers["content-type"]) == (200, "text/xml")
    assert int(told.headers["content-length"]) == len(told.content)
    assert told.text.startswith(f'<?xml version="1.0"?><{action}Response xmlns="{NAMESPACE}">')
    root = ElementTree.fromstring(told.content)
    result = [] if JSON_MODEL.operation_model(action).output_shape is None else [f"{{{NAMESPACE}}}{action}Result"]
    assert [element.tag for element in root] == [*result, f"{{{NAMESPACE}}}ResponseMetadata"]
    assert root.findtext("./{*}ResponseMetadata/{*}RequestId") == told.headers["x-amzn-requestid"]


REFUSED: list[tuple[str, dict, int, str, str]] = [
    ("TagQueue", {"QueueUrl": URL}, 400, "MissingParameter", "MissingRequiredParameterException"),
    ("CreateQueue", {"QueueName": "a b"}, 400, "InvalidParameterValue", "InvalidParameterValueException"),
    (
        "CreateQueue",
        {"QueueName": "orders", "Attributes": {"DelaySeconds": "9"}},
        400,
        "QueueAlreadyExists",
        "QueueNameExists",
    ),
    (
        "CreateQueue",
        {"QueueName": "deleted"},
        400,
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "QueueDeletedRecently",
    ),
    (
        "SetQueueAttributes",
        {"QueueUrl": URL, "Attributes": {"x": "1"}},
        400,
        "InvalidAttributeName",
        "InvalidAttributeName",
    ),
    (
        "SetQueueAttributes",
        {"QueueUrl": URL, "Attributes": {"DelaySeconds": "x"}},
        400,
        "InvalidAttributeValue",
        "InvalidAttributeValue",
    ),
    ("GetQueueUrl", {"QueueName": "nope"}, 400, "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
    (
        "PurgeQueue",
        {"QueueUrl": f"{HOST}/000000000000/purged"},
        403,
        "AWS.SimpleQueueService.PurgeQueueInProgress",
        "PurgeQueueInProgress",
    ),
    ("AddPermission", {**PERMISSION, "Actions": ["SendMessage"] * 8}, 403, "OverLimit", "OverLimit"),
    (
        "StartMessageMoveTask",
        {"SourceArn": f"{ARN}nope"},
        404,
        "ResourceNotFoundException",
        "ResourceNotFoundException",
    ),
]


@pytest.mark.parametrize(("action", "members", "status", "code", "type_"), REFUSED)
async def test_refusals_on_the_wire(sqs: Sqs, action: str, members: dict, status: int, code: str, type_: str):
    for name in ("orders", "purged", "deleted"):
        await sqs.create(name)
    await sqs("PurgeQueue", QueueUrl="purged")
    await sqs("DeleteQueue", QueueUrl="deleted")
    told = await answer(sqs, action, members)
    assert told.status_code == status
    if sqs.protocol == "json":
        assert told.headers["content-type"] == "application/x-amz-json-1.0"
        assert told.headers["x-amzn-query-error"] == f"{code};Sender"
        modelled = type_ in JSON_MODEL.shape_names
        namespace = "com.amazonaws.sqs" if modelled else "com.amazon.coral.service"
        assert told.json()["__type"] == f"{namespace}#{type_}"
        assert set(told.json()) == {"__type", "message"}
        if modelled:
            errors = {shape.name for shape in JSON_MODEL.operation_model(action).error_shapes}
            assert type_ in errors
    else:
        assert told.headers["content-type"] == "text/xml"
        root = ElementTree.fromstring(told.content)
        assert root.tag == f"{{{NAMESPACE}}}ErrorResponse"
        (error, request_id) = root
        assert [element.tag.rpartition("}")[2] for element in error] == ["Type", "Code", "Message", "Detail"]
        assert (error[0].text, error[1].text) == ("Sender", code)
        assert (request_id.tag, request_id.text) == (f"{{{NAMESPACE}}}RequestId", told.headers["x-amzn-requestid"])
