"""SendMessage and SendMessageBatch: what is taken, what is refused in which words, and what comes out in the end."""

import base64
import hashlib

import pytest

from sqslite.domain.messages import BodyKind
from sqslite.domain.queues import Defaults
from sqslite.entrypoints.sqs.message_attributes import INVALID_CHARACTERS, TYPES
from sqslite.entrypoints.sqs.names import message_uuid
from tests.unit.node import message
from tests.unit.sqs.api import Sqs, sqs_api

NO_DEDUP_ID = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
)
BATCH_ID = (
    "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters "
    "long."
)
MIB = 1024 * 1024


async def batch(sqs: Sqs, url: str, *entries: dict) -> dict:
    return await sqs("SendMessageBatch", QueueUrl=url, Entries=list(entries))


async def test_a_sent_message_is_received_as_it_was(sqs: Sqs):
    url = await sqs.create()
    body = '<a href="&amp;">\r\n\t é😀 {"json": 1}'
    sent = await sqs.send(url, body)
    (received,) = await sqs.receive(url)
    assert sent == {"MessageId": received["MessageId"], "MD5OfMessageBody": received["MD5OfBody"]}
    assert received == {
        "MessageId": message_uuid(1),
        "ReceiptHandle": received["ReceiptHandle"],
        "MD5OfBody": hashlib.md5(body.encode()).hexdigest(),
        "Body": body,
    }


async def test_attributes_of_every_type_come_back_with_the_digest_of_those_returned(sqs: Sqs):
    url = await sqs.create()
    attributes = {
        "plain": {"DataType": "String", "StringValue": "x"},
        "long": {"DataType": "Number.java.lang.Long", "StringValue": "12"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = await sqs.send(url, MessageAttributes=attributes)
    (all_of_them,) = await sqs.receive(url, MessageAttributeNames=["All"], VisibilityTimeout=0)
    assert all_of_them["MessageAttributes"] == attributes
    assert all_of_them["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    (some,) = await sqs.receive(url, MessageAttributeNames=["long", "missing"], VisibilityTimeout=0)
    assert some["MessageAttributes"] == {"long": attributes["long"]}
    assert some["MD5OfMessageAttributes"] not in (None, sent["MD5OfMessageAttributes"])
    (none,) = await sqs.receive(url, MessageAttributeNames=["missing"])
    assert "MessageAttributes" not in none
    assert "MD5OfMessageAttributes" not in none


async def test_other_wires_see_plain_attributes_and_theirs_are_seen(sqs: Sqs):
    url = await sqs.create()
    await sqs.send(
        url,
        MessageAttributes={
            "a": {"DataType": "String", "StringValue": "x"},
            "b": {"DataType": "Binary", "BinaryValue": b"\xff"},
        },
    )
    delivery = await sqs.own.claim_one()
    assert delivery.message.attributes == {
        "a": "x",
        "b": base64.b64encode(b"\xff").decode(),
        TYPES: '{"b":"Binary"}',
    }
    assert (delivery.message.body, delivery.message.body_kind) == (b"hello", BodyKind.TEXT)
    await sqs.own.enqueue(
        message(b'{"n": 1}', attributes={"c": "", "d": "y"}), message(b"\xff", body_kind=BodyKind.BINARY)
    )
    one, two = await sqs.receive(url, MessageAttributeNames=["All"])
    assert one["Body"] == '{"n": 1}'
    assert one["MessageAttributes"]["d"] == {"DataType": "String", "StringValue": "y"}
    assert two["Body"] == "/w=="
    assert two["MD5OfBody"] == hashlib.md5(b"/w==").hexdigest()


async def test_a_trace_header_has_a_digest_of_its_own(sqs: Sqs):
    url = await sqs.create()
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    attributes = {"timestamp": {"StringValue": "1493147359900", "DataType": "Number"}}
    system = {"AWSTraceHeader": {"StringValue": header, "DataType": "String"}}
    sent = await sqs.send(url, MessageAttributes=attributes, MessageSystemAttributes=system)
    assert sent["MD5OfMessageAttributes"] == "235c5c510d26fb653d073faed50ae77c"
    assert sent["MD5OfMessageSystemAttributes"] == "5ae4d5d7636402d80f4eb6d213245a88"
    (received,) = await sqs.receive(url, AttributeNames=["AWSTraceHeader"])
    assert received["Attributes"] == {"AWSTraceHeader": header}


async def test_a_trace_of_the_request_is_that_of_all_its_messages(sqs: Sqs):
    url = await sqs.create()
    sqs.http.headers["X-Amzn-Trace-Id"] = "Root=1-of-request"
    own = {"AWSTraceHeader": {"StringValue": "Root=1-own", "DataType": "String"}}
    sent = await sqs.send(url, "alone")
    assert "MD5OfMessageSystemAttributes" not in sent
    entries = [{"Id": "a", "MessageBody": "a"}, {"Id": "b", "MessageBody": "b", "MessageSystemAttributes": own}]
    await batch(sqs, url, *entries)
    received = await sqs.receive(url, AttributeNames=["AWSTraceHeader"])
    assert [(each["Body"], each["Attributes"]["AWSTraceHeader"]) for each in received] == [
        ("alone", "Root=1-of-request"),
        ("a", "Root=1-of-request"),
        ("b", "Root=1-own"),
    ]


@pytest.mark.parametrize("trace", ["", "x" * 257, "a\tb"])
async def test_a_trace_of_the_request_that_no_message_can_carry_is_passed_over(sqs: Sqs, trace: str):
    url = await sqs.create()
    sqs.http.headers["X-Amzn-Trace-Id"] = trace
    await sqs.send(url)
    (received,) = await sqs.receive(url, AttributeNames=["All"])
    assert "AWSTraceHeader" not in received["Attributes"]


@pytest.mark.parametrize(
    ("system", "sentence"),
    [
        ({"Hello": {"StringValue": "x", "DataType": "String"}}, "Message system attribute name 'Hello' is invalid."),
        (
            {"AWSTraceHeader": {"BinaryValue": b"x", "DataType": "Binary"}},
            "The message system attribute 'AWSTraceHeader' must be of type 'String'.",
        ),
        (
            {"AWSTraceHeader": {"StringValue": "", "DataType": "String"}},
            "Message system attribute 'AWSTraceHeader' must contain a non-empty value of type 'String'.",
        ),
        (
            {"AWSTraceHeader": {"StringValue": "x" * 257, "DataType": "String"}},
            "The message system attribute 'AWSTraceHeader' must be at most 256 characters long.",
        ),
        (
            {"AWSTraceHeader": {"StringValue": "a\nb", "DataType": "String"}},
            "The message system attribute 'AWSTraceHeader' must be free of control characters.",
        ),
    ],
)
async def test_other_system_attributes_are_refused(sqs: Sqs, system: dict, sentence: str):
    url = await sqs.create()
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.send(url, MessageSystemAttributes=system)


@pytest.mark.parametrize("lists", [{"StringListValues": ["x"]}, {"BinaryListValues": [b"x"]}])
@pytest.mark.parametrize("parameter", ["MessageAttributes", "MessageSystemAttributes"])
async def test_lists_of_values_are_refused_with_the_whole_call(sqs: Sqs, parameter: str, lists: dict):
    url = await sqs.create()
    attributes = {"AWSTraceHeader": {"DataType": "String", "StringValue": "x", **lists}}
    sentence = "Message attribute list values in {} operation are not supported."
    with sqs.refuses("AWS.SimpleQueueService.UnsupportedOperation", sentence.format("SendMessage")):
        await sqs.send(url, **{parameter: attributes})
    with sqs.refuses("AWS.SimpleQueueService.UnsupportedOperation", sentence.format("SendMessageBatch")):
        entry = {"Id": "b", "MessageBody": "x", parameter: attributes}
        await batch(sqs, url, {"Id": "a", "MessageBody": "x"}, entry)
    assert await sqs.counts(url) == (0, 0, 0)


@pytest.mark.parametrize("body", ["\x00", "a\x08b", "\x0b", "\x1f", "\ufffe", "\uffff"])
async def test_characters_that_xml_cannot_write_are_refused(sqs: Sqs, body: str):
    url = await sqs.create()
    with sqs.refuses("InvalidMessageContents", INVALID_CHARACTERS):
        await sqs.send(url, body)
    assert await sqs.counts(url) == (0, 0, 0)


@pytest.mark.parametrize("body", ["\t\n\r", " ", "\ud7ff\ue000\ufffd", "\U00010000\U0010ffff", "\x7f\x85"])
async def test_all_other_characters_are_taken(sqs: Sqs, body: str):
    url = await sqs.create()
    await sqs.send(url, body)
    assert await sqs.bodies(url) == [body]


async def test_a_message_must_have_a_body(sqs: Sqs):
    url = await sqs.create()
    for parameters in ({}, {"MessageBody": ""}):
        with sqs.refuses("MissingParameter", "The request must contain the parameter MessageBody."):
            await sqs("SendMessage", QueueUrl=url, **parameters)


async def test_a_queue_that_is_not_there_is_not_created(sqs: Sqs):
    with sqs.refuses("AWS.SimpleQueueService.NonExistentQueue"):
        await sqs.send("http://localhost/000000000000/nowhere")
    with sqs.refuses("AWS.SimpleQueueService.NonExistentQueue"):
        await batch(sqs, "nowhere", {"Id": "a", "MessageBody": "x"})
    assert await sqs("ListQueues") == {}


# Sizes


async def test_attributes_count_in_the_size_with_name_type_and_value(sqs: Sqs):
    url = await sqs.create(MaximumMessageSize="1024")
    attributes = {
        "k": {"DataType": "Number", "StringValue": "1"},
        "b": {"DataType": "Binary", "BinaryValue": b"x" * 300},
    }
    room = 1024 - len("kNumber1") - len("bBinary") - 300
    await sqs.send(url, "a" * room, MessageAttributes=attributes)
    sentence = "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.send(url, "a" * (room + 1), MessageAttributes=attributes)
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.send(url, "é" * 513)
    assert await sqs.counts(url) == (1, 0, 0)


async def test_a_message_has_a_mebibyte_by_default(sqs: Sqs):
    url = await sqs.create()
    await sqs.send(url, "a" * MIB)
    sentence = f"One or more parameters are invalid. Reason: Message must be shorter than {MIB} bytes."
    for size in (MIB + 1, 2 * MIB + MIB // 2, 12 * MIB):
        with sqs.refuses("InvalidParameterValue", sentence):
            await sqs.send(url, "a" * size)


async def test_the_operators_limit_is_the_queues():
    async with sqs_api(defaults=Defaults(body_bytes_max=2_000)) as sqs:
        url = await sqs.create()
        assert (await sqs.attributes(url))["MaximumMessageSize"] == "2000"
        with sqs.refuses(
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 2000 bytes.",
        ):
            await sqs.send(url, "a" * 2_001)


# Delays


async def test_a_delayed_message_comes_later(sqs: Sqs):
    url = await sqs.create(DelaySeconds="5")
    await sqs.send(url, "queue's")
    await sqs.send(url, "own", DelaySeconds=900)
    await sqs.send(url, "none", DelaySeconds=0)
    assert await sqs.counts(url) == (1, 0, 2)
    assert await sqs.bodies(url) == ["none"]
    sqs.shift(5)
    assert await sqs.bodies(url) == ["queue's"]
    sqs.shift(895)
    assert "own" in await sqs.bodies(url)


@pytest.mark.parametrize("delay", [-1, 901])
async def test_a_delay_out_of_range_is_refused(sqs: Sqs, delay: int):
    url = await sqs.create()
    sentence = f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.send(url, DelaySeconds=delay)


# Batches


async def test_a_batch_tells_the_outcome_of_each_entry(sqs: Sqs):
    url = await sqs.create(MaximumMessageSize="1024")
    answer = await batch(
        sqs,
        url,
        {"Id": "fine", "MessageBody": "1", "MessageAttributes": {"a": {"DataType": "String", "StringValue": "x"}}},
        {"Id": "empty", "MessageBody": ""},
        {"Id": "control", "MessageBody": "\x01"},
        {"Id": "late", "MessageBody": "x", "DelaySeconds": 901},
        {"Id": "large", "MessageBody": "x" * 1025},
        {"Id": "dedup", "MessageBody": "x", "MessageDeduplicationId": "d"},
        {"Id": "attribute", "MessageBody": "x", "MessageAttributes": {"a": {"DataType": "X", "StringValue": "x"}}},
        {"Id": "also-fine_9", "MessageBody": "2", "DelaySeconds": 0},
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["fine", "also-fine_9"]
    assert answer["Successful"][0]["MD5OfMessageAttributes"]
    assert set(answer["Successful"][1]) == {"Id", "MessageId", "MD5OfMessageBody"}
    failed = {entry["Id"]: (entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]}
    assert failed == {
        "empty": ("MissingParameter", True),
        "control": ("InvalidMessageContents", True),
        "late": ("InvalidParameterValue", True),
        "large": ("InvalidParameterValue", True),
        "dedup": ("InvalidParameterValue", True),
        "attribute": ("InvalidParameterValue", True),
    }
    sentences = {entry["Id"]: entry["Message"] for entry in answer["Failed"]}
    assert sentences["empty"] == "The request must contain the parameter SendMessageBatchRequestEntry.2.MessageBody."
    assert await sqs.bodies(url) == ["1", "2"]


async def test_a_batch_without_failures_or_without_successes_has_no_empty_list(sqs: Sqs):
    url = await sqs.create()
    assert set(await batch(sqs, url, {"Id": "a", "MessageBody": "x"})) == {"Successful"}
    assert set(await batch(sqs, url, {"Id": "a", "MessageBody": "\x00"})) == {"Failed"}


@pytest.mark.parametrize(
    ("ids", "code", "sentence"),
    [
        (
            [f"i{n}" for n in range(11)],
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        (["a", "b", "b", "a"], "BatchEntryIdsNotDistinct", "Id b repeated."),
        (["a:b"], "InvalidBatchEntryId", BATCH_ID),
        ([""], "InvalidBatchEntryId", BATCH_ID),
        (["x" * 81], "InvalidBatchEntryId", BATCH_ID),
        (["é"], "InvalidBatchEntryId", BATCH_ID),
    ],
)
async def test_batches_that_are_refused_as_a_whole(sqs: Sqs, ids: list[str], code: str, sentence: str):
    url = await sqs.create()
    with sqs.refuses(f"AWS.SimpleQueueService.{code}", sentence):
        await batch(sqs, url, *({"Id": id_, "MessageBody": "x"} for id_ in ids))
    assert await sqs.counts(url) == (0, 0, 0)


async def test_an_entry_without_an_id_is_missing_a_parameter(sqs: Sqs):
    url = await sqs.create()
    with sqs.refuses("MissingParameter", "The request must contain the parameter SendMessageBatchRequestEntry.2.Id."):
        await batch(sqs, url, {"Id": "a", "MessageBody": "x"}, {"MessageBody": "y"})


async def test_a_batch_counts_its_bytes_in_all(sqs: Sqs):
    url = await sqs.create()
    half = {"MessageBody": "a" * (MIB // 2 - 8), "MessageAttributes": {"k": {"DataType": "String", "StringValue": "x"}}}
    await batch(sqs, url, {"Id": "1", **half}, {"Id": "2", **half})
    with sqs.refuses(
        "AWS.SimpleQueueService.BatchRequestTooLong",
        f"Batch requests cannot be longer than {MIB} bytes. You have sent {MIB + 1} bytes.",
    ):
        await batch(sqs, url, {"Id": "1", **half}, {"Id": "2", **half}, {"Id": "3", "MessageBody": "a"})
    assert await sqs.counts(url) == (2, 0, 0)


async def test_ten_entries_of_eighty_characters_are_taken(sqs: Sqs):
    url = await sqs.create()
    answer = await batch(sqs, url, *({"Id": f"{n}" * 80, "MessageBody": str(n)} for n in range(10)))
    assert len(answer["Successful"]) == 10
    assert await sqs.bodies(url) == [str(n) for n in range(10)]


# FIFO


async def test_a_fifo_message_has_a_sequence_number(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    numbers = [
        (await sqs.send(url, MessageGroupId="g", MessageDeduplicationId=str(n)))["SequenceNumber"] for n in range(3)
    ]
    assert numbers == sorted(numbers)
    assert {len(number) for number in numbers} == {20}
    (first,) = await sqs.receive(url, 1, AttributeNames=["All"])
    assert first["Attributes"]["SequenceNumber"] == numbers[0]
    assert first["Attributes"]["MessageGroupId"] == "g"
    assert first["Attributes"]["MessageDeduplicationId"] == "0"
    standard = await sqs.create("standard")
    assert "SequenceNumber" not in await sqs.send(standard)


async def test_what_a_fifo_queue_needs_of_a_message(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    with sqs.refuses("MissingParameter", "The request must contain the parameter MessageGroupId."):
        await sqs.send(url, MessageDeduplicationId="d")
    with sqs.refuses("InvalidParameterValue", NO_DEDUP_ID):
        await sqs.send(url, MessageGroupId="g")
    sentence = (
        "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for "
        "this queue type."
    )
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.send(url, MessageGroupId="g", MessageDeduplicationId="d", DelaySeconds=2)
    await sqs.send(url, MessageGroupId="g", MessageDeduplicationId="d", DelaySeconds=0)


async def test_a_batch_to_a_fifo_queue_is_refused_as_a_whole_without_these(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    good = {"Id": "a", "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    with sqs.refuses("InvalidParameterValue", "The request must contain the parameter MessageGroupId."):
        await batch(sqs, url, good, {"Id": "b", "MessageBody": "x", "MessageDeduplicationId": "e"})
    with sqs.refuses("InvalidParameterValue", NO_DEDUP_ID):
        await batch(sqs, url, good, {"Id": "b", "MessageBody": "x", "MessageGroupId": "g"})
    assert await sqs.counts(url) == (0, 0, 0)
    answer = await batch(sqs, url, good)
    assert len(answer["Successful"][0]["SequenceNumber"]) == 20


async def test_a_standard_queue_knows_no_deduplication(sqs: Sqs):
    url = await sqs.create()
    sentence = (
        "Value d for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not "
        "valid for this queue type."
    )
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.send(url, MessageDeduplicationId="d")


@pytest.mark.parametrize("parameter", ["MessageGroupId", "MessageDeduplicationId"])
@pytest.mark.parametrize("given", ["x" * 129, "a b", "a\x08", "é"])
async def test_ids_that_are_refused(sqs: Sqs, parameter: str, given: str):
    url = await sqs.create("orders.fifo")
    ids = {"MessageGroupId": "g", "MessageDeduplicationId": "d", parameter: given}
    with sqs.refuses("InvalidParameterValue"):
        await sqs.send(url, **ids)


async def test_a_group_id_that_is_given_is_not_empty(sqs: Sqs):
    sentence = (
        "Value  for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and "
        "punctuation characters. 1 to 128 in length."
    )
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.send(await sqs.create(), MessageGroupId="")
    with sqs.refuses("MissingParameter", "The request must contain the parameter MessageGroupId."):
        await sqs.send(await sqs.create("orders.fifo"), MessageGroupId="", MessageDeduplicationId="d")


async def test_an_empty_deduplication_id_leaves_it_to_the_content(sqs: Sqs):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    for dedup_id in ("", None):
        given = {} if dedup_id is None else {"MessageDeduplicationId": dedup_id}
        await sqs.send(url, "same", MessageGroupId="g", **given)
    assert await sqs.bodies(url) == ["same"]


@pytest.mark.parametrize("given", ["x" * 128, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~aZ9"])
async def test_ids_that_are_taken(sqs: Sqs, given: str):
    url = await sqs.create("orders.fifo")
    await sqs.send(url, MessageGroupId=given, MessageDeduplicationId=given)
    (received,) = await sqs.receive(url, AttributeNames=["MessageGroupId", "MessageDeduplicationId"])
    assert set(received["Attributes"].values()) == {given}


async def test_duplicates_are_answered_with_the_first_id_and_not_kept(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    first = await sqs.send(url, "one", MessageGroupId="g", MessageDeduplicationId="d")
    again = await sqs.send(url, "two", MessageGroupId="h", MessageDeduplicationId="d")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    (received,) = await sqs.receive(url)
    await sqs.delete(url, received)
    await sqs.send(url, "three", MessageGroupId="g", MessageDeduplicationId="d")
    assert await sqs.receive(url) == []
    sqs.shift(300)
    await sqs.send(url, "four", MessageGroupId="g", MessageDeduplicationId="d")
    assert await sqs.bodies(url) == ["four"]


async def test_content_stands_for_a_deduplication_id_where_the_queue_says_so(sqs: Sqs):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    await sqs.send(url, "same", MessageGroupId="g")
    await sqs.send(url, "same", MessageGroupId="g", MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}})
    await sqs.send(url, "same", MessageGroupId="g", MessageDeduplicationId="explicit")
    first, second = await sqs.receive(url, AttributeNames=["All"])
    assert first["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"same").hexdigest()
    assert second["Attributes"]["MessageDeduplicationId"] == "explicit"


async def test_deduplication_may_be_by_group(sqs: Sqs):
    url = await sqs.create("orders.fifo", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    for group in ("g", "h", "g"):
        await sqs.send(url, group, MessageGroupId=group, MessageDeduplicationId="d")
    assert await sqs.bodies(url) == ["g", "h"]


# Fair queues


async def test_a_standard_queue_becomes_fair_with_its_first_group(sqs: Sqs):
    url = await sqs.create()
    for n in range(5):
        await sqs.send(url, f"noisy-{n}", MessageGroupId="noisy")
    await sqs.send(url, "quiet", MessageGroupId="quiet")
    assert "quiet" in await sqs.bodies(url, 2)
    (received,) = await sqs.receive(url, 1, AttributeNames=["All"])
    assert received["Attributes"]["MessageGroupId"] == "noisy"
    assert "MessageDeduplicationId" not in received["Attributes"]
