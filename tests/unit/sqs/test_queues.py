"""Queues: how they are created, found, listed, emptied and deleted, and what their attributes are."""

import json

import pytest

from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.sqs.queue_attributes import SETTABLE
from tests.unit.sqs.api import ACCOUNT, ARN, HOST, Sqs, sqs_api

NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"
NAME = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
FIFO_NAME = (
    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo "
    "suffix and be 1 to 80 in length."
)


async def test_a_queue_has_a_url_at_the_address_that_the_client_used(sqs: Sqs):
    assert await sqs.create() == f"{HOST}/{ACCOUNT}/orders"
    assert (await sqs("GetQueueUrl", QueueName="orders"))["QueueUrl"] == f"{HOST}/{ACCOUNT}/orders"
    assert (await sqs("ListQueues"))["QueueUrls"] == [f"{HOST}/{ACCOUNT}/orders"]
    answer = await sqs("GetQueueUrl", QueueName="orders", QueueOwnerAWSAccountId="123456789012")
    assert answer["QueueUrl"] == f"{HOST}/123456789012/orders"


@pytest.mark.parametrize(
    "url",
    [
        "{url}",
        "{url}/",
        "orders",
        f"http://elsewhere:1/{ACCOUNT}/orders",
        "https://sqs.eu-west-1.amazonaws.com/1/orders",
        "https://queue.amazonaws.com/123456789012/orders",
    ],
)
async def test_every_form_of_its_url_is_understood(sqs: Sqs, url: str):
    await sqs.send(url.format(url=await sqs.create()))
    assert await sqs.bodies("orders") == ["hello"]


@pytest.mark.parametrize("url", ["nowhere", "http://whatever-incorrect-queue-address", "http://[", "a b", "x" * 5_000])
@pytest.mark.parametrize(
    "action", ["GetQueueAttributes", "DeleteQueue", "PurgeQueue", "ReceiveMessage", "ListQueueTags"]
)
async def test_a_queue_that_is_not_there(sqs: Sqs, url: str, action: str):
    ending = "." if sqs.protocol == "json" else " for this wsdl version."
    with sqs.refuses(NO_QUEUE, f"The specified queue does not exist{ending}"):
        await sqs(action, QueueUrl=url)


@pytest.mark.parametrize("protocol", ["json", "query"])
async def test_urls_and_arns_are_of_the_account_that_the_server_is_set_to(protocol: str):
    async with sqs_api(protocol, account="123456789012") as sqs:
        dlq = await sqs.create("dead")
        assert dlq == f"{HOST}/123456789012/dead"
        arn = "arn:aws:sqs:us-east-1:123456789012:dead"
        assert await sqs.attributes(dlq, "QueueArn") == {"QueueArn": arn}
        # Of an ARN that somebody has, only the name counts.
        for given in (arn, f"{ARN}dead"):
            redrive = json.dumps({"deadLetterTargetArn": given, "maxReceiveCount": 1})
            await sqs.create("orders", RedrivePolicy=redrive)
            assert await sqs("ListDeadLetterSourceQueues", QueueUrl=dlq) == {
                "queueUrls": [f"{HOST}/123456789012/orders"]
            }
            await sqs("SetQueueAttributes", QueueUrl="orders", Attributes={"RedrivePolicy": ""})
            await sqs("DeleteQueue", QueueUrl="orders")
            sqs.shift(60)
        await sqs.send(dlq)
        (message,) = await sqs.receive(f"{HOST}/{ACCOUNT}/dead", AttributeNames=["SenderId"])
        assert message["Attributes"] == {"SenderId": "123456789012"}


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("GetQueueAttributes", {"AttributeNames": ["Nope"]}),
        ("SetQueueAttributes", {}),
        ("SetQueueAttributes", {"Attributes": {"Nope": "1"}}),
        ("ListDeadLetterSourceQueues", {"MaxResults": 0}),
        ("ListDeadLetterSourceQueues", {"MaxResults": 1, "NextToken": "x"}),
        ("TagQueue", {}),
        ("UntagQueue", {}),
        ("AddPermission", {}),
        ("RemovePermission", {}),
    ],
)
async def test_a_queue_that_is_not_there_is_told_before_all_else(sqs: Sqs, action: str, fields: dict):
    with sqs.refuses(NO_QUEUE):
        await sqs(action, QueueUrl=f"{HOST}/{ACCOUNT}/nowhere", **fields)


async def test_a_name_that_is_not_there_has_no_url(sqs: Sqs):
    with sqs.refuses(NO_QUEUE):
        await sqs("GetQueueUrl", QueueName="nowhere")


async def test_a_queue_must_be_named(sqs: Sqs):
    nameless = "Value for parameter QueueName is invalid. Reason: Must specify a queue name."
    for action, members in (("CreateQueue", {}), ("GetQueueUrl", {}), ("GetQueueUrl", {"QueueName": ""})):
        with sqs.refuses("InvalidParameterValue", nameless):
            await sqs(action, **members)
    with sqs.refuses("InvalidParameterValue", "Queue name cannot be empty"):
        await sqs("CreateQueue", QueueName="")
    with sqs.refuses("MissingParameter", "The request must contain the parameter QueueUrl."):
        await sqs("ReceiveMessage")


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 80])
async def test_names_that_are_taken(sqs: Sqs, name: str):
    assert (await sqs.create(name)).endswith(f"/{name}")


@pytest.mark.parametrize("name", ["a.b", "x" * 81, "é", "a/b", "a b", "a:b", "a\n"])
async def test_names_that_are_refused(sqs: Sqs, name: str):
    with sqs.refuses("InvalidParameterValue", NAME):
        await sqs.create(name)


async def test_a_name_and_its_type_must_fit(sqs: Sqs):
    with sqs.refuses("InvalidParameterValue", FIFO_NAME):
        await sqs("CreateQueue", QueueName="orders", Attributes={"FifoQueue": "true"})
    with sqs.refuses("InvalidParameterValue", NAME):
        await sqs("CreateQueue", QueueName="orders.fifo")
    with sqs.refuses("InvalidAttributeName", "Unknown Attribute FifoQueue."):
        await sqs("CreateQueue", QueueName="orders", Attributes={"FifoQueue": "false"})
    assert await sqs("ListQueues") == {}


# Attributes


async def test_all_attributes_of_a_standard_queue(sqs: Sqs):
    url = await sqs.create()
    now = str(int(sqs.own.clock.now().timestamp()))
    assert await sqs.attributes(url) == {
        "QueueArn": f"{ARN}orders",
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "CreatedTimestamp": now,
        "LastModifiedTimestamp": now,
        "VisibilityTimeout": "30",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
    }


async def test_those_of_a_fifo_queue_besides(sqs: Sqs):
    standard, fifo = await sqs.create(), await sqs.create("orders.fifo")
    besides = {
        name: value
        for name, value in (await sqs.attributes(fifo)).items()
        if name not in await sqs.attributes(standard)
    }
    assert besides == {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
    }


EDGES = {
    "VisibilityTimeout": (0, 43_200),
    "MaximumMessageSize": (1_024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "DelaySeconds": (0, 900),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
}


@pytest.mark.parametrize("name", EDGES)
async def test_numbers_at_and_beyond_their_limits(sqs: Sqs, name: str):
    url = await sqs.create()
    low, high = EDGES[name]
    for value in (low, high):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={name: str(value)})
        assert (await sqs.attributes(url, name)) == {name: str(value)}
        assert await sqs.create(f"q{value}", **{name: str(value)})
    for bad in (low - 1, high + 1, "", " 2", "2.0", "x", "1e3", "٣", "9" * 5_000):
        for action, target in (("SetQueueAttributes", {"QueueUrl": url}), ("CreateQueue", {"QueueName": "new"})):
            with sqs.refuses("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
                await sqs(action, **target, Attributes={name: str(bad)})
    assert (await sqs.attributes(url, name)) == {name: str(high)}


async def test_attributes_not_given_stay(sqs: Sqs):
    url = await sqs.create(DelaySeconds="1", VisibilityTimeout="2")
    sqs.shift(10)
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"VisibilityTimeout": "3", "MaximumMessageSize": "2048"})
    found = await sqs.attributes(url)
    assert (found["DelaySeconds"], found["VisibilityTimeout"], found["MaximumMessageSize"]) == ("1", "3", "2048")
    assert int(found["LastModifiedTimestamp"]) == int(found["CreatedTimestamp"]) + 10


async def test_attributes_are_chosen_by_name(sqs: Sqs):
    url = await sqs.create()
    assert await sqs.attributes(url, "QueueArn", "DelaySeconds") == {"QueueArn": f"{ARN}orders", "DelaySeconds": "0"}
    assert await sqs("GetQueueAttributes", QueueUrl=url) == {}
    assert await sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=["KmsMasterKeyId", "Policy"]) == {}
    for names in (["Foobar"], ["QueueArn", "Foobar"], ["All", "Foobar"]):
        with sqs.refuses("InvalidAttributeName", "Unknown Attribute Foobar."):
            await sqs.attributes(url, *names)
    for nothing in ([""], []):
        with sqs.refuses("InvalidAttributeName", "Unknown Attribute ."):
            await sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=nothing)


@pytest.mark.parametrize("name", ["Foo", "QueueArn", "CreatedTimestamp", "ApproximateNumberOfMessages", "All"])
async def test_attributes_that_cannot_be_set(sqs: Sqs, name: str):
    url = await sqs.create()
    for action, target in (("SetQueueAttributes", {"QueueUrl": url}), ("CreateQueue", {"QueueName": "new"})):
        with sqs.refuses("InvalidAttributeName", f"Unknown Attribute {name}."):
            await sqs(action, **target, Attributes={name: "1"})


async def test_what_only_fifo_queues_have(sqs: Sqs):
    url = await sqs.create()
    for name, value in (("DeduplicationScope", "queue"), ("FifoThroughputLimit", "perQueue")):
        with sqs.refuses("InvalidAttributeName", f"You can specify the {name} only when FifoQueue is set to true."):
            await sqs("SetQueueAttributes", QueueUrl=url, Attributes={name: value})
    with sqs.refuses("InvalidAttributeName", "Unknown Attribute ContentBasedDeduplication."):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"ContentBasedDeduplication": "true"})
    with sqs.refuses("InvalidAttributeName", "Unknown Attribute FifoQueue."):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"FifoQueue": "true"})


async def test_a_queues_type_cannot_change(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"FifoQueue": "true"})
    sentence = "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
    with sqs.refuses("InvalidAttributeValue", sentence):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"FifoQueue": "false"})


async def test_fifo_attributes(sqs: Sqs):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    high = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"ContentBasedDeduplication": "false", **high})
    assert await sqs.attributes(url, "ContentBasedDeduplication", *high) == {
        "ContentBasedDeduplication": "false",
        **high,
    }
    for name in ("ContentBasedDeduplication", *high):
        with sqs.refuses("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
            await sqs("SetQueueAttributes", QueueUrl=url, Attributes={name: "x"})
    # High throughput needs both.
    for attributes in ({"DeduplicationScope": "queue"},):
        with sqs.refuses("InvalidAttributeValue"):
            await sqs("SetQueueAttributes", QueueUrl=url, Attributes=attributes)


async def test_encryption_is_kept_and_of_one_kind(sqs: Sqs):
    url = await sqs.create(KmsMasterKeyId="alias/key")
    names = ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled")
    assert await sqs.attributes(url, *names) == dict(zip(names, ("alias/key", "300", "false"), strict=True))
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"KmsDataKeyReusePeriodSeconds": "600"})
    assert (await sqs.attributes(url))["KmsDataKeyReusePeriodSeconds"] == "600"
    sentence = (
        "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."
    )
    with sqs.refuses("InvalidAttributeName", sentence):
        await sqs(
            "SetQueueAttributes", QueueUrl=url, Attributes={"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "true"}
        )
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
    assert await sqs.attributes(url, *names) == {"SqsManagedSseEnabled": "true"}
    for name, bad in (("SqsManagedSseEnabled", "x"), ("KmsDataKeyReusePeriodSeconds", "59")):
        with sqs.refuses("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
            await sqs("SetQueueAttributes", QueueUrl=url, Attributes={name: bad})


POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*"}]})


async def test_a_policy_is_kept_as_it_is_until_it_is_empty(sqs: Sqs):
    url = await sqs.create()
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": ""})
    assert "Policy" not in await sqs.attributes(url)
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": POLICY})
    assert (await sqs.attributes(url))["Policy"] == POLICY
    for bad in ("x", "[]", "1"):
        with sqs.refuses("InvalidAttributeValue", "Invalid value for the parameter Policy."):
            await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": bad})
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": ""})
    assert "Policy" not in await sqs.attributes(url)


async def test_attributes_must_be_given(sqs: Sqs):
    url = await sqs.create()
    for nothing in ({}, {"Attributes": {}}, {"Attributes": {"": "1"}}):
        with sqs.refuses("MissingParameter", "The request must contain the parameter Attribute.Name."):
            await sqs("SetQueueAttributes", QueueUrl=url, **nothing)


async def test_settings_are_the_same_for_every_wire(sqs: Sqs):
    url = await sqs.create("orders.fifo", VisibilityTimeout="5", ContentBasedDeduplication="true", DelaySeconds="1")
    settings = (await sqs.own.administration.get("orders.fifo")).settings
    assert (settings.fifo, settings.visibility_ms, settings.dedup_by_content, settings.delay_ms) == (
        True,
        5_000,
        True,
        1_000,
    )
    await sqs.own.administration.put("orders.fifo", QueueSettings(fifo=True, receive_wait_ms=3_000))
    found = await sqs.attributes(url, "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout")
    assert found == {"ReceiveMessageWaitTimeSeconds": "3", "VisibilityTimeout": "30"}


# Idempotence


async def test_creating_a_queue_again_is_fine_where_its_attributes_are_these(sqs: Sqs):
    url = await sqs.create(DelaySeconds="1", ReceiveMessageWaitTimeSeconds="1")
    for attributes in (
        {},
        {"DelaySeconds": "1"},
        {"VisibilityTimeout": "30"},
        {"DelaySeconds": "1", "MaximumMessageSize": "1048576"},
    ):
        assert await sqs.create(**attributes) == url
    with sqs.refuses(
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute DelaySeconds",
    ):
        await sqs.create(ReceiveMessageWaitTimeSeconds="1", DelaySeconds="2")
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "2"})
    assert await sqs.create(DelaySeconds="2") == url
    with sqs.refuses("QueueAlreadyExists"):
        await sqs.create(DelaySeconds="1")
    assert await sqs.counts(url) == (0, 0, 0)


async def test_so_for_fifo_queues(sqs: Sqs):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    assert await sqs.create("orders.fifo") == url
    with sqs.refuses("QueueAlreadyExists"):
        await sqs.create("orders.fifo", ContentBasedDeduplication="false")


async def test_a_queue_that_another_wire_made_may_be_created_again(sqs: Sqs):
    await sqs.own.enqueue()
    url = await sqs.create()
    assert await sqs.counts(url) == (1, 0, 0)


# Lists


async def test_queues_are_listed_by_prefix(sqs: Sqs):
    for name in ("b-1", "a-2", "a-1", "orders.fifo"):
        await sqs.create(name)
    names = [url.rpartition("/")[2] for url in (await sqs("ListQueues"))["QueueUrls"]]
    assert names == ["a-1", "a-2", "b-1", "orders.fifo"]
    answer = await sqs("ListQueues", QueueNamePrefix="a-")
    assert [url.rpartition("/")[2] for url in answer["QueueUrls"]] == ["a-1", "a-2"]
    assert await sqs("ListQueues", QueueNamePrefix="orders.f") != {}
    for prefix in ("c", "a b", "é"):
        assert await sqs("ListQueues", QueueNamePrefix=prefix) == {}


async def test_pages_lead_to_one_another(sqs: Sqs):
    for n in range(5):
        await sqs.create(f"q-{n}")
    await sqs.create("r")
    seen, pages, token = [], 0, None
    while token or not pages:
        pages += 1
        more = {"NextToken": token} if token else {}
        answer = await sqs("ListQueues", QueueNamePrefix="q-", MaxResults=2, **more)
        seen += [url.rpartition("/")[2] for url in answer["QueueUrls"]]
        token = answer.get("NextToken")
    assert (seen, pages) == ([f"q-{n}" for n in range(5)], 3)
    assert "NextToken" not in await sqs("ListQueues", MaxResults=6)
    assert "NextToken" not in await sqs("ListQueues")


@pytest.mark.parametrize("action", ["ListQueues", "ListDeadLetterSourceQueues"])
async def test_pages_that_cannot_be(sqs: Sqs, action: str):
    queue = {} if action == "ListQueues" else {"QueueUrl": await sqs.create()}
    sentence = "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000."
    for bad in (0, -1, 1_001):
        with sqs.refuses("InvalidParameterValue", sentence):
            await sqs(action, **queue, MaxResults=bad)
    sentence = "Invalid NextToken value." if action == "ListQueues" else "Invalid or expired next token."
    for bad in ("x", "é", "====", "IA=="):
        with sqs.refuses("InvalidParameterValue", sentence):
            await sqs(action, **queue, MaxResults=1, NextToken=bad)


async def test_a_list_of_queues_goes_on_as_it_began(sqs: Sqs):
    for name in ("a-1", "a-2", "b-1"):
        await sqs.create(name)
    token = (await sqs("ListQueues", QueueNamePrefix="a", MaxResults=1))["NextToken"]
    sentence = "MaxResults is a mandatory parameter when you provide a value for NextToken."
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs("ListQueues", QueueNamePrefix="a", NextToken=token)
    sentence = (
        "Invalid NextToken value. If you are passing in NextToken, you must not change the other request parameters."
    )
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs("ListQueues", QueueNamePrefix="b", MaxResults=1, NextToken=token)


async def test_sources_may_go_on_without_a_limit(sqs: Sqs):
    dlq = await sqs.create("dead")
    redrive = json.dumps({"deadLetterTargetArn": f"{ARN}dead", "maxReceiveCount": 1})
    urls = [await sqs.create(name, RedrivePolicy=redrive) for name in "abc"]
    token = (await sqs("ListDeadLetterSourceQueues", QueueUrl=dlq, MaxResults=1))["NextToken"]
    assert await sqs("ListDeadLetterSourceQueues", QueueUrl=dlq, NextToken=token) == {"queueUrls": urls[1:]}


# Deleting and purging


async def test_a_deleted_queue_is_gone_with_its_messages(sqs: Sqs):
    url = await sqs.create()
    await sqs.send(url)
    await sqs("DeleteQueue", QueueUrl=url)
    assert await sqs("ListQueues") == {}
    with sqs.refuses(NO_QUEUE):
        await sqs("DeleteQueue", QueueUrl=url)
    sentence = "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    with sqs.refuses("AWS.SimpleQueueService.QueueDeletedRecently", sentence):
        await sqs.create()
    sqs.shift(59)
    with sqs.refuses("AWS.SimpleQueueService.QueueDeletedRecently"):
        await sqs.create()
    sqs.shift(1)
    assert await sqs.counts(await sqs.create()) == (0, 0, 0)


async def test_a_purge_takes_messages_in_every_state_and_what_was_deduplicated(sqs: Sqs):
    url = await sqs.create()
    for delay in (0, 0, 5):
        await sqs.send(url, DelaySeconds=delay)
    await sqs.receive(url, 1)
    assert await sqs("PurgeQueue", QueueUrl=url) == {}
    assert await sqs.counts(url) == (0, 0, 0)
    fifo = await sqs.create("orders.fifo")
    await sqs.send(fifo, "one", MessageGroupId="g", MessageDeduplicationId="d")
    await sqs("PurgeQueue", QueueUrl=fifo)
    await sqs.send(fifo, "two", MessageGroupId="g", MessageDeduplicationId="d")
    assert await sqs.bodies(fifo) == ["two"]


async def test_a_queue_is_purged_once_a_minute(sqs: Sqs):
    url = await sqs.create()
    await sqs("PurgeQueue", QueueUrl=url)
    sentence = "Only one PurgeQueue operation on orders is allowed every 60 seconds."
    with sqs.refuses("AWS.SimpleQueueService.PurgeQueueInProgress", sentence, status=403):
        await sqs("PurgeQueue", QueueUrl=url)
    sqs.shift(60)
    await sqs("PurgeQueue", QueueUrl=url)


@pytest.mark.parametrize("protocol", ["json", "query"])
async def test_both_waits_can_be_turned_off(protocol: str):
    async with sqs_api(protocol, strict_timing=False) as sqs:
        url = await sqs.create()
        for _ in range(2):
            await sqs("PurgeQueue", QueueUrl=url)
        await sqs("DeleteQueue", QueueUrl=url)
        assert await sqs.create() == url


# Dead-letter queues


def test_every_attribute_that_can_be_set_is_in_botocores_model():
    from tests.unit.sqs.query_model import JSON_MODEL

    known = set(JSON_MODEL.shape_for("QueueAttributeName").enum)
    assert set(SETTABLE) < known
