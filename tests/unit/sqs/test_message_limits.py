"""Tables of what the actions on messages take and refuse: parameters at their limits, of a wrong type, or not there."""

import json
from typing import Any

import httpx
import pytest

from tests.unit.sqs.api import Refused, Sqs, sqs_api

STRING = {"DataType": "String", "StringValue": "v"}
TRACE = {"DataType": "String", "StringValue": "Root=1"}
BATCH = "AWS.SimpleQueueService."
OK = None


async def outcome(sqs: Sqs, action: str, **parameters: Any) -> str | None:
    """The code of the refusal, None where there is none."""
    try:
        await sqs(action, **parameters)
    except Refused as refused:
        return refused.code
    return None


# A message sent to a standard queue, and to a FIFO queue; None: taken.

FIFO_OWN = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
SENT = [
    ({"MessageBody": "x"}, OK, "MissingParameter"),
    ({"MessageBody": "x", "MessageGroupId": "g"}, OK, "InvalidParameterValue"),
    ({"MessageBody": "x", "MessageDeduplicationId": "d"}, "InvalidParameterValue", "MissingParameter"),
    ({"MessageBody": "x", **FIFO_OWN}, "InvalidParameterValue", OK),
    ({"MessageBody": "", **FIFO_OWN}, "MissingParameter", "MissingParameter"),
    ({"MessageBody": " ", **FIFO_OWN}, "InvalidParameterValue", OK),
    (
        {"MessageBody": "x", "MessageGroupId": "", "MessageDeduplicationId": "d"},
        "InvalidParameterValue",
        "MissingParameter",
    ),
    ({"MessageBody": "x", "MessageGroupId": "g" * 128}, OK, "InvalidParameterValue"),
    ({"MessageBody": "x", "MessageGroupId": "g" * 129}, "InvalidParameterValue", "InvalidParameterValue"),
    ({"MessageBody": "x", "MessageGroupId": "a b"}, "InvalidParameterValue", "InvalidParameterValue"),
    ({"MessageBody": "x", **FIFO_OWN, "DelaySeconds": 0}, "InvalidParameterValue", OK),
    ({"MessageBody": "x", **FIFO_OWN, "DelaySeconds": 1}, "InvalidParameterValue", "InvalidParameterValue"),
    ({"MessageBody": "x", "DelaySeconds": -1}, "InvalidParameterValue", "InvalidParameterValue"),
    ({"MessageBody": "x", "DelaySeconds": 0}, OK, "MissingParameter"),
    ({"MessageBody": "x", "DelaySeconds": 900}, OK, "InvalidParameterValue"),
    ({"MessageBody": "x", "DelaySeconds": 901}, "InvalidParameterValue", "InvalidParameterValue"),
    ({"MessageBody": "\x00", **FIFO_OWN}, "InvalidMessageContents", "InvalidMessageContents"),
    ({"MessageBody": "x", "MessageAttributes": {}}, OK, "MissingParameter"),
    ({"MessageBody": "x", "MessageAttributes": {f"a{n}": STRING for n in range(10)}}, OK, "MissingParameter"),
    ({"MessageBody": "x", "MessageAttributes": {f"a{n}": STRING for n in range(11)}}, *["InvalidParameterValue"] * 2),
    ({"MessageBody": "x", "MessageSystemAttributes": {"AWSTraceHeader": TRACE}}, OK, "MissingParameter"),
    ({"MessageBody": "x", "MessageSystemAttributes": {"SenderId": TRACE}}, *["InvalidParameterValue"] * 2),
]


@pytest.mark.parametrize(("parameters", "standard", "fifo"), SENT)
async def test_what_is_taken_of_a_message(sqs: Sqs, parameters: dict, standard: str | None, fifo: str | None):
    for name, expected in (("orders", standard), ("orders.fifo", fifo)):
        url = await sqs.create(name)
        assert await outcome(sqs, "SendMessage", QueueUrl=url, **parameters) == expected, name
        assert sum(await sqs.counts(url)) == (expected is None)


@pytest.mark.parametrize(("parameters", "standard", "fifo"), SENT)
async def test_a_batch_takes_what_is_taken_alone(sqs: Sqs, parameters: dict, standard: str | None, fifo: str | None):
    for name, expected in (("orders", standard), ("orders.fifo", fifo)):
        url = await sqs.create(name)
        entries = [{"Id": "a", **parameters}]
        whole = await outcome(sqs, "SendMessageBatch", QueueUrl=url, Entries=entries)
        if whole is not None:
            # What a FIFO queue misses, refuses the whole batch, and under one code.
            assert (name, whole) == ("orders.fifo", "InvalidParameterValue")
            assert expected is not None
            continue
        assert sum(await sqs.counts(url)) == (expected is None)
        if expected is not None:
            answer = await sqs("SendMessageBatch", QueueUrl=url, Entries=entries)
            assert [entry["Code"] for entry in answer["Failed"]] == [expected]


# Sizes of batches: each message by its queue, all of them by the service


@pytest.mark.parametrize(
    ("bytes_each", "entries", "code"),
    [(104_857, 10, OK), (104_858, 10, f"{BATCH}BatchRequestTooLong"), (1_048_576, 1, OK), (524_288, 2, OK)],
)
async def test_a_batch_has_a_mebibyte_in_all(sqs: Sqs, bytes_each: int, entries: int, code: str | None):
    url = await sqs.create()
    batch = [{"Id": str(n), "MessageBody": "é" * (bytes_each // 2) + "x" * (bytes_each % 2)} for n in range(entries)]
    assert await outcome(sqs, "SendMessageBatch", QueueUrl=url, Entries=batch) == code


async def test_a_message_too_long_for_its_queue_fails_alone_in_its_batch(sqs: Sqs):
    url = await sqs.create(MaximumMessageSize="1024")
    sizes = {"under": 1_023, "at": 1_024, "over": 1_025}
    batch = [{"Id": name, "MessageBody": "x" * size} for name, size in sizes.items()]
    answer = await sqs("SendMessageBatch", QueueUrl=url, Entries=batch)
    assert [entry["Id"] for entry in answer["Successful"]] == ["under", "at"]
    assert [(entry["Id"], entry["Message"]) for entry in answer["Failed"]] == [
        ("over", "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.")
    ]


async def test_the_trace_header_counts_in_no_size(sqs: Sqs):
    url = await sqs.create(MaximumMessageSize="1024")
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "x" * 256}}
    assert await outcome(sqs, "SendMessage", QueueUrl=url, MessageBody="x" * 1_024, MessageSystemAttributes=trace) is OK


@pytest.mark.parametrize(
    ("attribute", "size"),
    [
        ({"DataType": "String", "StringValue": "é"}, 9),
        ({"DataType": "Number.int", "StringValue": "12"}, 13),
        ({"DataType": "Binary", "BinaryValue": b"\x00" * 3}, 10),
    ],
)
async def test_each_part_of_an_attribute_counts(sqs: Sqs, attribute: dict, size: int):
    url = await sqs.create(MaximumMessageSize="1024")
    for body, code in ((1_024 - size, OK), (1_025 - size, "InvalidParameterValue")):
        sent = {"MessageBody": "x" * body, "MessageAttributes": {"a": attribute}}
        assert await outcome(sqs, "SendMessage", QueueUrl=url, **sent) == code


# JSON of wrong types

WRONG_TYPES = [
    ("SendMessage", {"MessageBody": None}, "MissingParameter"),
    ("SendMessage", {"MessageBody": 5}, OK),
    ("SendMessage", {"MessageBody": []}, "MalformedInput"),
    ("SendMessage", {"MessageBody": {}}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": None}, OK),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": "5"}, OK),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": "x"}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": ""}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": 1.5}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": True}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": [1]}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": 2**31}, "InvalidParameterValue"),
    ("SendMessage", {"MessageBody": "x", "MessageAttributes": None}, OK),
    ("SendMessage", {"MessageBody": "x", "MessageAttributes": []}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "MessageAttributes": "x"}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "MessageAttributes": {"a": None}}, "InvalidParameterValue"),
    ("SendMessage", {"MessageBody": "x", "MessageAttributes": {"a": "x"}}, "MalformedInput"),
    ("SendMessage", {"MessageBody": "x", "MessageAttributes": {"a": {**STRING, "StringListValues": []}}}, OK),
    (
        "SendMessage",
        {"MessageBody": "x", "MessageAttributes": {"a": {**STRING, "StringListValues": "x"}}},
        "MalformedInput",
    ),
    ("SendMessage", {"MessageBody": "x", "QueueUrl": None}, "MissingParameter"),
    ("SendMessage", {"MessageBody": "x", "QueueUrl": ""}, "MissingParameter"),
    ("SendMessage", {"MessageBody": "x", "QueueUrl": 5}, f"{BATCH}NonExistentQueue"),
    ("SendMessage", {"MessageBody": "x", "Unknown": {"a": [1]}}, OK),
    ("SendMessageBatch", {"Entries": None}, "MissingParameter"),
    ("SendMessageBatch", {"Entries": {}}, "MalformedInput"),
    ("SendMessageBatch", {"Entries": "x"}, "MalformedInput"),
    ("SendMessageBatch", {"Entries": ["x"]}, "MalformedInput"),
    ("SendMessageBatch", {"Entries": [None]}, "MissingParameter"),
    ("SendMessageBatch", {"Entries": [{}]}, "MissingParameter"),
    ("SendMessageBatch", {"Entries": [{"Id": 1, "MessageBody": "x"}]}, OK),
    ("SendMessageBatch", {"Entries": [{"Id": None, "MessageBody": "x"}]}, "MissingParameter"),
    ("SendMessageBatch", {"Entries": []}, f"{BATCH}EmptyBatchRequest"),
    ("ReceiveMessage", {"AttributeNames": None}, OK),
    ("ReceiveMessage", {"AttributeNames": []}, OK),
    ("ReceiveMessage", {"AttributeNames": "All"}, "MalformedInput"),
    ("ReceiveMessage", {"AttributeNames": [None]}, OK),
    ("ReceiveMessage", {"AttributeNames": [""]}, "InvalidAttributeName"),
    ("ReceiveMessage", {"AttributeNames": ["all"]}, "InvalidAttributeName"),
    ("ReceiveMessage", {"MessageSystemAttributeNames": ["nothing"]}, "InvalidAttributeName"),
    ("ReceiveMessage", {"MessageAttributeNames": ["", "a b", "AWS.x"]}, OK),
    ("ReceiveMessage", {"MaxNumberOfMessages": None}, OK),
    ("ReceiveMessage", {"MaxNumberOfMessages": "10"}, OK),
    ("ReceiveMessage", {"MaxNumberOfMessages": {}}, "MalformedInput"),
    ("ReceiveMessage", {"VisibilityTimeout": "0"}, OK),
    ("ReceiveMessage", {"WaitTimeSeconds": "x"}, "MalformedInput"),
    ("ReceiveMessage", {"ReceiveRequestAttemptId": ""}, OK),
    ("DeleteMessage", {}, "MissingParameter"),
    ("DeleteMessage", {"ReceiptHandle": None}, "MissingParameter"),
    ("DeleteMessage", {"ReceiptHandle": 5}, "ReceiptHandleIsInvalid"),
    ("DeleteMessage", {"ReceiptHandle": ["x"]}, "MalformedInput"),
    ("DeleteMessageBatch", {"Entries": [{"ReceiptHandle": "x"}]}, "MissingParameter"),
    ("ChangeMessageVisibility", {"ReceiptHandle": "x"}, "MissingParameter"),
    ("ChangeMessageVisibility", {"ReceiptHandle": "x", "VisibilityTimeout": None}, "MissingParameter"),
    ("ChangeMessageVisibility", {"ReceiptHandle": "x", "VisibilityTimeout": ""}, "MalformedInput"),
    ("ChangeMessageVisibility", {"ReceiptHandle": "x", "VisibilityTimeout": "5"}, "ReceiptHandleIsInvalid"),
    ("ChangeMessageVisibility", {"ReceiptHandle": "x", "VisibilityTimeout": -1}, "InvalidParameterValue"),
    ("ChangeMessageVisibility", {"ReceiptHandle": "x", "VisibilityTimeout": 43_201}, "InvalidParameterValue"),
]


@pytest.mark.parametrize(("action", "parameters", "code"), WRONG_TYPES)
async def test_json_of_wrong_types(action: str, parameters: dict, code: str | None):
    async with sqs_api("json") as sqs:
        url = await sqs.create()
        headers = {"x-amz-target": f"AmazonSQS.{action}", "content-type": "application/x-amz-json-1.0"}
        body = json.dumps({"QueueUrl": url, **parameters})
        answer: httpx.Response = await sqs.http.post("/", headers=headers, content=body)
    assert answer.headers.get("x-amzn-query-error") == (f"{code};Sender" if code else None)
    assert (answer.status_code == 200) == (code is None)


# What a batch is refused for first

FIRST = [
    ([], "EmptyBatchRequest"),
    ([{"Id": "a"}] * 11, "TooManyEntriesInBatchRequest"),
    ([{"Id": "!"}] * 11, "TooManyEntriesInBatchRequest"),
    ([{"Id": "a"}, {"Id": "a"}, {"Id": "!"}], "InvalidBatchEntryId"),
    ([{"Id": "a"}, {"Id": "a"}], "BatchEntryIdsNotDistinct"),
]


@pytest.mark.parametrize("action", ["SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
@pytest.mark.parametrize(("entries", "code"), FIRST)
async def test_what_a_batch_is_refused_for_first(sqs: Sqs, action: str, entries: list, code: str):
    url = await sqs.create()
    member = {"SendMessageBatch": {"MessageBody": "x"}}.get(action, {"ReceiptHandle": "x"})
    time = {"VisibilityTimeout": 1} if action.startswith("Change") else {}
    whole = [{**entry, **member, **time} for entry in entries]
    assert await outcome(sqs, action, QueueUrl=url, Entries=whole) == f"{BATCH}{code}"
    assert await outcome(sqs, action, QueueUrl="nowhere", Entries=whole) == f"{BATCH}NonExistentQueue"


# FIFO


async def test_duplicates_within_a_batch_are_one_message(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    entries = [
        {"Id": str(n), "MessageBody": f"body {n}", "MessageGroupId": "g", "MessageDeduplicationId": dedup_id}
        for n, dedup_id in enumerate(("d", "e", "d"))
    ]
    first, second, third = (await sqs("SendMessageBatch", QueueUrl=url, Entries=entries))["Successful"]
    assert (third["MessageId"], third["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert first["SequenceNumber"] < second["SequenceNumber"]
    assert third["MD5OfMessageBody"] != first["MD5OfMessageBody"]
    assert await sqs.bodies(url) == ["body 0", "body 1"]


async def test_a_delayed_message_is_known_to_deduplication_at_once(sqs: Sqs):
    url = await sqs.create("orders.fifo", DelaySeconds="10")
    first = await sqs.send(url, "one", **FIFO_OWN)
    assert (await sqs.send(url, "two", **FIFO_OWN))["MessageId"] == first["MessageId"]
    assert await sqs.counts(url) == (0, 0, 1)


async def test_an_explicit_id_that_is_a_bodys_digest_is_that_bodys(sqs: Sqs):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    first = await sqs.send(url, "same", MessageGroupId="g")
    (received,) = await sqs.receive(url, AttributeNames=["MessageDeduplicationId"])
    dedup_id = received["Attributes"]["MessageDeduplicationId"]
    again = await sqs.send(url, "other", MessageGroupId="h", MessageDeduplicationId=dedup_id)
    assert again["MessageId"] == first["MessageId"]


async def test_a_dead_letter_frees_its_group_and_keeps_what_it_was(sqs: Sqs):
    await sqs.create("dead.fifo")
    arn = "arn:aws:sqs:us-east-1:000000000000:dead.fifo"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = await sqs.create("orders.fifo", RedrivePolicy=policy, VisibilityTimeout="1")
    sent = [await sqs.send(url, body, MessageGroupId="g", MessageDeduplicationId=body) for body in ("one", "two")]
    (first,) = await sqs.receive(url, 1, AttributeNames=["ApproximateFirstReceiveTimestamp"])
    assert first["Body"] == "one"
    sqs.shift(1)
    assert await sqs.bodies(url) == ["two"]
    (dead,) = await sqs.receive(f"{url.rpartition('/')[0]}/dead.fifo", AttributeNames=["All"])
    assert dead["MessageId"] == sent[0]["MessageId"]
    assert dead["Attributes"]["MessageGroupId"] == "g"
    # AWS, so that two that share an id do not meet in the dead-letter queue.
    assert dead["Attributes"]["MessageDeduplicationId"] == sent[0]["MessageId"]
    assert dead["Attributes"]["DeadLetterQueueSourceArn"].endswith(":orders.fifo")
    assert dead["Attributes"]["ApproximateReceiveCount"] == "2"
    assert dead["Attributes"].items() >= first["Attributes"].items()
