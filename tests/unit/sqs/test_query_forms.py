"""The Query protocol as clients write it by hand, in old versions, and with answers in JSON."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest

from tests.unit.sqs.api import ACCOUNT, HOST, Sqs, sqs_api

FORM = {"content-type": "application/x-www-form-urlencoded"}
NAMELESS = "The request must contain non-empty message (user) attribute names."


@pytest.fixture
async def api() -> AsyncIterator[Sqs]:
    async with sqs_api("query") as sqs:
        yield sqs


async def post(sqs: Sqs, action: str, url: str = "/", accept: str = "*/*", **fields: str) -> httpx.Response:
    """Fields are written with `__` where the protocol has a dot."""
    named = {name.replace("__", "."): value for name, value in fields.items()}
    body = urlencode({"Action": action, **named})
    return await sqs.http.post(url, content=body, headers={**FORM, "accept": accept})


def told(answer: httpx.Response, name: str) -> str | None:
    return ElementTree.fromstring(answer.content).findtext(f".//{{*}}{name}")


# Message attributes by hand


def attribute(prefix: str, value: str = "v") -> dict[str, str]:
    return {f"{prefix}__Value__DataType": "String", f"{prefix}__Value__StringValue": value}


@pytest.mark.parametrize("number", ["1", "0", "10", "007", "999999999", "999999999999999999"])
async def test_an_attribute_may_have_any_number(api: Sqs, number: str):
    prefix = f"MessageAttribute__{number}"
    answer = await post(
        api, "SendMessage", await api.create(), MessageBody="x", **{f"{prefix}__Name": "a"}, **attribute(prefix)
    )
    assert told(answer, "MD5OfMessageAttributes") == "a18cbb58171ebf4ce88d9fb787f9210b"


@pytest.mark.parametrize(
    "fields",
    [
        attribute("MessageAttribute__1"),
        {"MessageAttribute__1__Name": "", **attribute("MessageAttribute__1")},
        {"MessageAttribute__1__Name__1": "a", **attribute("MessageAttribute__1")},
        {"MessageAttribute": "a"},
        {"MessageAttribute__1": "a"},
        {"MessageAttributes__1__key": "a", "MessageAttributes__1__value__DataType": "String"},
        {"MessageAttributes__entry__1__Name": "a"},
    ],
)
async def test_an_attribute_without_a_name_is_refused_and_not_passed_over(api: Sqs, fields: dict):
    url = await api.create()
    answer = await post(api, "SendMessage", url, MessageBody="x", **fields)
    assert (answer.status_code, told(answer, "Code"), told(answer, "Message")) == (
        400,
        "InvalidParameterValue",
        NAMELESS,
    )
    assert await api.counts(url) == (0, 0, 0)


async def test_entries_of_a_batch_come_in_the_order_of_their_numbers(api: Sqs):
    url = await api.create()
    fields = {
        f"SendMessageBatchRequestEntry__{number}__{name}": value
        for number in (11, 2, 100)
        for name, value in (("Id", f"i{number}"), ("MessageBody", str(number)))
    }
    answer = await post(api, "SendMessageBatch", url, **fields)
    found = ElementTree.fromstring(answer.content).findall(".//{*}SendMessageBatchResultEntry/{*}Id")
    assert [element.text for element in found] == ["i2", "i11", "i100"]
    assert await api.bodies(url) == ["2", "11", "100"]


@pytest.mark.parametrize(
    ("fields", "member"),
    [
        ({}, "Attribute.Name"),
        ({"Attribute__1__Value": "1"}, "Attribute.Name"),
        ({"Attribute__1__Key": "DelaySeconds", "Attribute__1__Value": "1"}, "Attribute.Name"),
        ({"Attributes__entry__1__key": "DelaySeconds", "Attributes__entry__1__value": "1"}, "Attribute.Name"),
        ({"Attribute__1__Name": "DelaySeconds"}, "Attribute.Value"),
    ],
)
async def test_an_attribute_of_a_queue_has_a_name_and_a_value(api: Sqs, fields: dict, member: str):
    url = await api.create()
    answer = await post(api, "SetQueueAttributes", url, **fields)
    assert (answer.status_code, told(answer, "Code")) == (400, "MissingParameter")
    assert told(answer, "Message") == f"The request must contain the parameter {member}."


# Versions


@pytest.mark.parametrize("version", ["2008-01-01", "2009-02-01", "2011-10-01", "2012-11-05"])
async def test_an_answer_is_in_the_namespace_of_the_version_that_was_asked(api: Sqs, version: str):
    url = await api.create()
    for action in ("ReceiveMessage", "FooBar"):
        answer = await post(api, action, url, Version=version)
        namespace = f"{{http://queue.amazonaws.com/doc/{version}/}}"
        assert {element.tag.rpartition("}")[0] + "}" for element in ElementTree.fromstring(answer.content).iter()} == {
            namespace
        }


@pytest.mark.parametrize("version", ["", "1999-01-01", '"><script>', "x" * 1_000])
async def test_a_version_that_never_was_is_the_latest(api: Sqs, version: str):
    answer = await post(api, "ListQueues", Version=version)
    assert answer.text.startswith(
        '<?xml version="1.0"?><ListQueuesResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
    )


async def test_an_old_clients_way_from_a_queue_to_a_message(api: Sqs):
    old = {"Version": "2009-02-01"}
    url = told(await post(api, "CreateQueue", QueueName="old", DefaultVisibilityTimeout="40", **old), "QueueUrl")
    assert url == f"{HOST}/{ACCOUNT}/old"
    await post(api, "SendMessage", url, MessageBody="<x>", **old)
    answer = await post(api, "ReceiveMessage", url, AttributeName="All", **old)
    assert told(answer, "Body") == "<x>"
    assert told(answer, "Attribute/{*}Name") == "SenderId"
    handle = told(answer, "ReceiptHandle")
    assert handle
    assert (await post(api, "DeleteMessage", url, ReceiptHandle=handle, **old)).status_code == 200
    assert await api.counts(url) == (0, 0, 0)


# Answers in JSON


async def in_json(sqs: Sqs, action: str, url: str = "/", **fields: str) -> dict:
    answer = await post(sqs, action, url, "application/json", **fields)
    assert answer.headers["content-type"] == "application/json"
    told: dict = json.loads(answer.content)
    assert told.pop("RequestId", None) or told[f"{action}Response"].pop("ResponseMetadata")["RequestId"]
    return told


async def test_whoever_accepts_json_is_answered_in_json(api: Sqs):
    url = await api.create()
    sent = (await in_json(api, "SendMessage", url, MessageBody="hello"))["SendMessageResponse"]["SendMessageResult"]
    assert sent == {
        "MD5OfMessageAttributes": None,
        "MD5OfMessageBody": "5d41402abc4b2a76b9719d911017c592",
        "MD5OfMessageSystemAttributes": None,
        "MessageId": sent["MessageId"],
        "SequenceNumber": None,
    }
    received = await in_json(api, "ReceiveMessage", url)
    (message,) = received["ReceiveMessageResponse"]["ReceiveMessageResult"]["messages"]
    assert message == {
        "Attributes": None,
        "Body": "hello",
        "MD5OfBody": sent["MD5OfMessageBody"],
        "MD5OfMessageAttributes": None,
        "MessageAttributes": None,
        "MessageId": sent["MessageId"],
        "ReceiptHandle": message["ReceiptHandle"],
    }
    assert await in_json(api, "DeleteMessage", url, ReceiptHandle=message["ReceiptHandle"]) == {
        "DeleteMessageResponse": {}
    }
    assert await in_json(api, "ReceiveMessage", url) == {
        "ReceiveMessageResponse": {"ReceiveMessageResult": {"messages": None}}
    }
