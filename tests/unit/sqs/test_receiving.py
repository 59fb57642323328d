"""ReceiveMessage: how many, in which order, with what, and what becomes of it when nobody deletes it."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.sqs.errors import TOO_MANY_IN_FLIGHT
from tests.unit.sqs.api import ACCOUNT, ARN, Sqs
from tests.unit.test_wakeups import settled


@pytest.mark.parametrize("count", [1, 10])
async def test_as_many_as_asked_for(sqs: Sqs, count: int):
    url = await sqs.create()
    for n in range(12):
        await sqs.send(url, str(n))
    assert await sqs.bodies(url, count) == [str(n) for n in range(count)]


async def test_one_unless_asked_for_more(sqs: Sqs):
    url = await sqs.create()
    for n in range(3):
        await sqs.send(url, str(n))
    answer = await sqs("ReceiveMessage", QueueUrl=url)
    assert len(answer["Messages"]) == 1


async def test_nothing_is_told_by_leaving_messages_out(sqs: Sqs):
    url = await sqs.create()
    assert await sqs("ReceiveMessage", QueueUrl=url) == {}


@pytest.mark.parametrize(
    ("parameter", "value", "must"),
    [
        ("MaxNumberOfMessages", 0, "Must be between 1 and 10"),
        ("MaxNumberOfMessages", 11, "Must be between 1 and 10"),
        ("VisibilityTimeout", -1, "Must be between 0 and 43200"),
        ("VisibilityTimeout", 43_201, "Must be between 0 and 43200"),
        ("WaitTimeSeconds", -1, "Must be >= 0 and <= 20"),
        ("WaitTimeSeconds", 21, "Must be >= 0 and <= 20"),
    ],
)
async def test_what_is_out_of_range_is_refused(sqs: Sqs, parameter: str, value: int, must: str):
    url = await sqs.create()
    sentence = f"Value {value} for parameter {parameter} is invalid. Reason: {must}, if provided."
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs("ReceiveMessage", QueueUrl=url, **{parameter: value})


@pytest.mark.parametrize(
    ("seconds", "parameter"), [(30, {}), (7, {"VisibilityTimeout": 7}), (43_200, {"VisibilityTimeout": 43_200})]
)
async def test_a_received_message_is_invisible_for_a_time(sqs: Sqs, seconds: int, parameter: dict):
    url = await sqs.create()
    await sqs.send(url)
    await sqs.receive(url, **parameter)
    assert await sqs.counts(url) == (0, 1, 0)
    sqs.shift(seconds - 0.001)
    assert await sqs.receive(url) == []
    sqs.shift(0.001)
    (again,) = await sqs.receive(url, AttributeNames=["ApproximateReceiveCount"])
    assert again["Attributes"] == {"ApproximateReceiveCount": "2"}


async def test_a_visibility_of_nothing_leaves_the_message_visible(sqs: Sqs):
    url = await sqs.create()
    await sqs.send(url)
    (first,) = await sqs.receive(url, VisibilityTimeout=0)
    assert await sqs.counts(url) == (1, 0, 0)
    (second,) = await sqs.receive(url, VisibilityTimeout=3)
    assert first["ReceiptHandle"] != second["ReceiptHandle"]
    assert await sqs.receive(url) == []


async def test_a_queue_may_have_a_visibility_of_nothing(sqs: Sqs):
    url = await sqs.create(VisibilityTimeout="0")
    assert (await sqs.attributes(url))["VisibilityTimeout"] == "0"
    await sqs.send(url)
    assert len(await sqs.receive(url)) == len(await sqs.receive(url)) == 1
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"VisibilityTimeout": "5"})
    assert (await sqs.attributes(url))["VisibilityTimeout"] == "5"
    assert len(await sqs.receive(url)) == 1
    assert await sqs.receive(url) == []


async def test_a_fifo_group_is_visible_again_at_once_with_a_visibility_of_nothing(sqs: Sqs):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    for body in ("1", "2"):
        await sqs.send(url, body, MessageGroupId="g")
    assert await sqs.bodies(url, VisibilityTimeout=0) == ["1", "2"]
    assert await sqs.bodies(url) == ["1", "2"]


# System attributes


ALL = {"SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"}


@pytest.mark.parametrize("parameter", ["AttributeNames", "MessageSystemAttributeNames"])
async def test_all_system_attributes(sqs: Sqs, parameter: str):
    url = await sqs.create()
    await sqs.send(url)
    now = sqs.own.clock.now()
    sqs.shift(1.5)
    (received,) = await sqs.receive(url, **{parameter: ["All"]})
    assert set(received["Attributes"]) == ALL
    assert received["Attributes"]["SenderId"] == ACCOUNT
    assert received["Attributes"]["ApproximateReceiveCount"] == "1"
    sent = int(received["Attributes"]["SentTimestamp"])
    assert datetime.fromtimestamp(sent / 1_000, UTC) == now
    assert int(received["Attributes"]["ApproximateFirstReceiveTimestamp"]) == sent + 1_500


@pytest.mark.parametrize("name", sorted(ALL))
async def test_one_system_attribute(sqs: Sqs, name: str):
    url = await sqs.create()
    await sqs.send(url)
    (received,) = await sqs.receive(url, AttributeNames=[name])
    assert set(received["Attributes"]) == {name}


async def test_attributes_that_a_message_does_not_have_are_left_out(sqs: Sqs):
    url = await sqs.create()
    await sqs.send(url)
    (received,) = await sqs.receive(
        url, AttributeNames=["SequenceNumber", "MessageGroupId", "DeadLetterQueueSourceArn"]
    )
    assert "Attributes" not in received


async def test_the_first_receive_stays_the_first(sqs: Sqs):
    url = await sqs.create()
    await sqs.send(url)
    names = ["ApproximateFirstReceiveTimestamp"]
    (first,) = await sqs.receive(url, AttributeNames=names)
    sqs.shift(30)
    (second,) = await sqs.receive(url, AttributeNames=names)
    assert second["Attributes"] == first["Attributes"]


async def test_all_in_capitals_as_celery_writes_it(sqs: Sqs):
    url = await sqs.create()
    await sqs.send(url, MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}})
    (received,) = await sqs.receive(url, MessageSystemAttributeNames=["ALL"], MessageAttributeNames=["ALL"])
    assert set(received["Attributes"]) == ALL
    assert set(received["MessageAttributes"]) == {"a"}


async def test_an_unknown_attribute_is_refused(sqs: Sqs):
    url = await sqs.create()
    with sqs.refuses("InvalidAttributeName", "Unknown Attribute Foo."):
        await sqs.receive(url, AttributeNames=["All", "Foo"])


# FIFO


async def send_to_groups(sqs: Sqs, url: str, *bodies: str) -> None:
    for body in bodies:
        await sqs.send(url, body, MessageGroupId=body.partition("-")[0], MessageDeduplicationId=body)


async def test_a_receive_answers_one_group_behind_another(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    await send_to_groups(sqs, url, "a-1", "b-1", "a-2", "b-2", "a-3")
    assert await sqs.bodies(url) == ["a-1", "a-2", "a-3", "b-1", "b-2"]


async def test_a_receive_takes_as_much_of_one_group_as_there_is_before_it_takes_of_the_next(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    await send_to_groups(sqs, url, "a-1", "b-1", "a-2", "c-1", "b-2", "a-3")
    assert await sqs.bodies(url, 2) == ["a-1", "a-2"]
    assert await sqs.bodies(url, 3) == ["b-1", "b-2", "c-1"]


async def test_a_group_in_flight_gives_nothing_and_keeps_no_other_waiting(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    await send_to_groups(sqs, url, "a-1", "a-2", "b-1")
    (first,) = await sqs.receive(url, 1)
    assert await sqs.bodies(url) == ["b-1"]
    await sqs.delete(url, first)
    assert await sqs.bodies(url) == ["a-2"]


async def test_a_delay_is_the_queues_in_a_fifo_queue(sqs: Sqs):
    url = await sqs.create("orders.fifo", DelaySeconds="2")
    await send_to_groups(sqs, url, "a-1", "a-2")
    assert await sqs.bodies(url) == []
    sqs.shift(2)
    assert await sqs.bodies(url) == ["a-1", "a-2"]


async def test_an_attempt_that_is_tried_again_gets_the_same(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    await send_to_groups(sqs, url, "a-1", "b-1", "c-1")
    first = await sqs.receive(url, 2, ReceiveRequestAttemptId="try")
    assert await sqs.receive(url, 2, ReceiveRequestAttemptId="try") == first
    assert len(await sqs.receive(url, ReceiveRequestAttemptId="other")) == 1


async def test_an_attempt_that_is_tried_again_hides_its_messages_from_then_on(sqs: Sqs):
    url = await sqs.create("orders.fifo", VisibilityTimeout="10")
    await send_to_groups(sqs, url, "a-1", "a-2")
    (first,) = await sqs.receive(url, 1, ReceiveRequestAttemptId="try")
    sqs.shift(9)
    assert await sqs.receive(url, 1, ReceiveRequestAttemptId="try") == [first]
    sqs.shift(9)
    assert await sqs.receive(url) == []
    await sqs.delete(url, first)
    assert await sqs.bodies(url) == ["a-2"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("orders", "try"),
        ("orders.fifo", "x" * 129),
        ("orders.fifo", "a b"),
        ("orders.fifo", "é"),
        ("orders.fifo", "a\n"),
    ],
)
async def test_an_attempt_id_that_is_refused(sqs: Sqs, name: str, given: str):
    url = await sqs.create(name)
    with sqs.refuses("InvalidParameterValue"):
        await sqs.receive(url, ReceiveRequestAttemptId=given)


# Long polls


async def test_a_receive_waits_for_a_message(sqs: Sqs):
    url = await sqs.create()
    waiting = asyncio.create_task(sqs.receive(url, WaitTimeSeconds=20))
    await settled()
    await sqs.own.advance(10_000)
    assert not waiting.done()
    await sqs.send(url)
    assert [message["Body"] for message in await waiting] == ["hello"]


@pytest.mark.parametrize(("queue_s", "asked"), [("0", {"WaitTimeSeconds": 5}), ("5", {})])
async def test_a_wait_ends_when_it_is_over(sqs: Sqs, queue_s: str, asked: dict):
    url = await sqs.create(ReceiveMessageWaitTimeSeconds=queue_s)
    waiting = asyncio.create_task(sqs.receive(url, **asked))
    await settled()
    await sqs.own.advance(4_999)
    assert not waiting.done()
    await sqs.own.advance(1)
    assert await waiting == []


async def test_no_wait_overrides_the_queues(sqs: Sqs):
    url = await sqs.create(ReceiveMessageWaitTimeSeconds="20")
    assert await sqs.receive(url, WaitTimeSeconds=0) == []


# Dead letters


async def source_and_dlq(sqs: Sqs, receives: int = 2, suffix: str = "") -> tuple[str, str]:
    dlq = await sqs.create(f"dead{suffix}")
    policy = json.dumps({"deadLetterTargetArn": f"{ARN}dead{suffix}", "maxReceiveCount": receives})
    return await sqs.create(f"orders{suffix}", RedrivePolicy=policy), dlq


async def test_a_message_goes_to_the_dead_letter_queue_after_so_many_receives(sqs: Sqs):
    url, dlq = await source_and_dlq(sqs)
    sent = await sqs.send(url)
    for count in ("1", "2"):
        (received,) = await sqs.receive(url, AttributeNames=["All"])
        assert received["Attributes"]["ApproximateReceiveCount"] == count
        sqs.shift(30)
    assert await sqs.receive(url) == []
    (dead,) = await sqs.receive(dlq, AttributeNames=["All"])
    assert dead["MessageId"] == sent["MessageId"]
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == f"{ARN}orders"
    assert dead["Attributes"]["ApproximateReceiveCount"] == "3"


async def test_a_visibility_of_nothing_counts_as_a_receive(sqs: Sqs):
    url, dlq = await source_and_dlq(sqs, suffix=".fifo")
    await sqs.send(url, MessageGroupId="g", MessageDeduplicationId="d")
    for _ in range(2):
        assert len(await sqs.receive(url, VisibilityTimeout=0)) == 1
    assert await sqs.receive(url, VisibilityTimeout=0) == []
    assert await sqs.bodies(dlq) == ["hello"]


async def test_without_a_dead_letter_queue_a_message_comes_again_and_again(sqs: Sqs):
    url = await sqs.create()
    await sqs.send(url)
    for _ in range(20):
        assert len(await sqs.receive(url, VisibilityTimeout=0)) == 1


async def test_a_policy_that_comes_later_holds_for_messages_that_are_there(sqs: Sqs):
    url = await sqs.create()
    dlq = await sqs.create("dead")
    await sqs.send(url)
    policy = json.dumps({"deadLetterTargetArn": f"{ARN}dead", "maxReceiveCount": 1})
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": policy})
    await sqs.receive(url, VisibilityTimeout=0)
    assert await sqs.receive(url) == []
    assert await sqs.bodies(dlq) == ["hello"]


async def test_messages_are_kept_for_the_queues_time(sqs: Sqs):
    url = await sqs.create(MessageRetentionPeriod="60")
    await sqs.send(url)
    sqs.shift(59)
    assert len(await sqs.receive(url, VisibilityTimeout=0)) == 1
    sqs.shift(1)
    assert await sqs.receive(url) == []


async def test_a_queue_allows_120000_messages_in_flight(sqs: Sqs):
    for name in ("orders", "orders.fifo"):
        await sqs.create(name)
        assert (await sqs.own.administration.get(name)).settings.in_flight_max == 120_000


async def test_more_messages_in_flight_than_allowed_are_refused(sqs: Sqs):
    await sqs.own.administration.put("orders", QueueSettings(in_flight_max=2))
    url = f"/{ACCOUNT}/orders"
    for n in range(3):
        await sqs.send(url, str(n))
    messages = await sqs.receive(url)
    assert len(messages) == 2
    with sqs.refuses("OverLimit", TOO_MANY_IN_FLIGHT, status=403):
        await sqs.receive(url)
    await sqs.delete(url, messages[0])
    assert await sqs.bodies(url) == ["2"]


async def test_a_fifo_queue_with_as_many_in_flight_as_allowed_seems_empty(sqs: Sqs):
    await sqs.own.administration.put("orders.fifo", QueueSettings(fifo=True, in_flight_max=1))
    url = f"/{ACCOUNT}/orders.fifo"
    for group in ("a", "b"):
        await sqs.send(url, group, MessageGroupId=group, MessageDeduplicationId=group)
    (message,) = await sqs.receive(url)
    assert await sqs.receive(url) == []
    await sqs.delete(url, message)
    assert await sqs.bodies(url) == ["b"]
