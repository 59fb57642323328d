"""What members of the queues' actions may be: their JSON types, empty values, spellings, and what is the same."""

import asyncio
import json

import pytest

from sqslite.domain.queues import Queue, QueueSettings
from tests.unit.sqs.api import ACCOUNT, ARN, HOST, Sqs, sqs_api

STRUCTURE = "Start of structure or map found where not expected."
LIST = "Start of list found where not expected"
FIELD = "Unexpected field type"
TO_INTEGER = "can not be converted to an Integer"


@pytest.fixture
async def api():
    async with sqs_api("json") as sqs:
        await sqs.create("dead")
        await sqs.create(RedrivePolicy=redrive())
        yield sqs


async def call(api: Sqs, action: str, members: dict) -> tuple[int, str, str]:
    """Status, type and sentence."""
    answer = await api.http.post("/", headers={"x-amz-target": f"AmazonSQS.{action}"}, content=json.dumps(members))
    told = answer.json()
    return answer.status_code, told.get("__type", "").partition("#")[2], told.get("message", "")


def redrive(target: str = f"{ARN}dead", count: object = 3) -> str:
    return json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": count})


# By action: what makes it succeed.
GOOD: dict[str, dict] = {
    "CreateQueue": {"QueueName": "new"},
    "GetQueueUrl": {"QueueName": "orders"},
    "ListQueues": {},
    "DeleteQueue": {"QueueUrl": "orders"},
    "PurgeQueue": {"QueueUrl": "orders"},
    "GetQueueAttributes": {"QueueUrl": "orders"},
    "SetQueueAttributes": {"QueueUrl": "orders", "Attributes": {"DelaySeconds": "0"}},
    "ListDeadLetterSourceQueues": {"QueueUrl": "orders"},
    "StartMessageMoveTask": {"SourceArn": f"{ARN}dead"},
    "ListMessageMoveTasks": {"SourceArn": f"{ARN}dead"},
    "TagQueue": {"QueueUrl": "orders", "Tags": {"a": "b"}},
    "UntagQueue": {"QueueUrl": "orders", "TagKeys": ["a"]},
    "ListQueueTags": {"QueueUrl": "orders"},
    "AddPermission": {
        "QueueUrl": "orders",
        "Label": "l",
        "AWSAccountIds": ["111122223333"],
        "Actions": ["SendMessage"],
    },
}
TEXTS = [
    ("CreateQueue", "QueueName"),
    ("GetQueueUrl", "QueueName"),
    ("GetQueueUrl", "QueueOwnerAWSAccountId"),
    ("ListQueues", "QueueNamePrefix"),
    ("ListQueues", "NextToken"),
    ("DeleteQueue", "QueueUrl"),
    ("PurgeQueue", "QueueUrl"),
    ("GetQueueAttributes", "QueueUrl"),
    ("SetQueueAttributes", "QueueUrl"),
    ("ListDeadLetterSourceQueues", "QueueUrl"),
    ("ListDeadLetterSourceQueues", "NextToken"),
    ("StartMessageMoveTask", "SourceArn"),
    ("StartMessageMoveTask", "DestinationArn"),
    ("ListMessageMoveTasks", "SourceArn"),
    ("TagQueue", "QueueUrl"),
    ("UntagQueue", "QueueUrl"),
    ("ListQueueTags", "QueueUrl"),
    ("AddPermission", "QueueUrl"),
    ("AddPermission", "Label"),
]
INTEGERS = [
    ("ListQueues", "MaxResults"),
    ("ListDeadLetterSourceQueues", "MaxResults"),
    ("StartMessageMoveTask", "MaxNumberOfMessagesPerSecond"),
    ("ListMessageMoveTasks", "MaxResults"),
]
LISTS = [
    ("GetQueueAttributes", "AttributeNames"),
    ("UntagQueue", "TagKeys"),
    ("AddPermission", "AWSAccountIds"),
    ("AddPermission", "Actions"),
]
MAPS = [
    ("CreateQueue", "Attributes"),
    ("CreateQueue", "tags"),
    ("SetQueueAttributes", "Attributes"),
    ("TagQueue", "Tags"),
]
WRONG = [
    *((action, member, [], LIST) for action, member in TEXTS),
    *((action, member, {}, STRUCTURE) for action, member in TEXTS),
    *((action, member, "x", f"STRING_VALUE {TO_INTEGER}") for action, member in INTEGERS),
    *((action, member, "", f"STRING_VALUE {TO_INTEGER}") for action, member in INTEGERS),
    *((action, member, 1.5, f"DECIMAL_VALUE {TO_INTEGER}") for action, member in INTEGERS),
    *((action, member, True, f"TRUE_VALUE {TO_INTEGER}") for action, member in INTEGERS),
    *((action, member, [1], LIST) for action, member in INTEGERS),
    *((action, member, {}, STRUCTURE) for action, member in INTEGERS),
    *((action, member, "x", FIELD) for action, member in (*LISTS, *MAPS)),
    *((action, member, 5, FIELD) for action, member in (*LISTS, *MAPS)),
    *((action, member, {}, STRUCTURE) for action, member in LISTS),
    *((action, member, [{}], STRUCTURE) for action, member in LISTS),
    *((action, member, [], LIST) for action, member in MAPS),
    *((action, member, {"a": {}}, STRUCTURE) for action, member in MAPS),
]


@pytest.mark.parametrize("action", GOOD)
async def test_what_is_changed_below_succeeds_as_it_is(api: Sqs, action: str):
    assert (await call(api, action, GOOD[action]))[0] == 200


@pytest.mark.parametrize(("action", "member", "value", "sentence"), WRONG)
async def test_a_member_of_another_type_is_malformed_input(
    api: Sqs, action: str, member: str, value: object, sentence: str
):
    told = await call(api, action, {**GOOD[action], member: value})
    assert told == (400, "SerializationException", sentence)


NEEDED = [
    *((action, "QueueUrl") for action, members in GOOD.items() if "QueueUrl" in members),
    ("StartMessageMoveTask", "SourceArn"),
    ("ListMessageMoveTasks", "SourceArn"),
    ("TagQueue", "Tags"),
    ("AddPermission", "Label"),
    ("AddPermission", "AWSAccountIds"),
    ("AddPermission", "Actions"),
    ("CancelMessageMoveTask", "TaskHandle"),
    ("RemovePermission", "QueueUrl"),
]


@pytest.mark.parametrize(("action", "member"), NEEDED)
async def test_a_member_that_is_not_there_or_null_is_missing(api: Sqs, action: str, member: str):
    members = {name: value for name, value in GOOD.get(action, {}).items() if name != member}
    expected = (400, "MissingRequiredParameterException", f"The request must contain the parameter {member}.")
    assert await call(api, action, members) == expected
    assert await call(api, action, {**members, member: None}) == expected


@pytest.mark.parametrize(("action", "member"), [(a, m) for a, m in NEEDED if (a, m) in TEXTS])
async def test_an_empty_text_is_missing_too(api: Sqs, action: str, member: str):
    told = await call(api, action, {**GOOD[action], member: ""})
    assert told == (400, "MissingRequiredParameterException", f"The request must contain the parameter {member}.")


NO_NAME = "Value for parameter QueueName is invalid. Reason: Must specify a queue name."
# Members that are told of in other words than these.
OTHERWISE = {
    ("CreateQueue", "QueueName"): ("InvalidParameterValueException", NO_NAME),
    ("GetQueueUrl", "QueueName"): ("InvalidParameterValueException", NO_NAME),
    ("SetQueueAttributes", "Attributes"): (
        "MissingRequiredParameterException",
        "The request must contain the parameter Attribute.Name.",
    ),
}


@pytest.mark.parametrize(("action", "member"), OTHERWISE)
async def test_some_missing_members_are_told_in_their_own_words(api: Sqs, action: str, member: str):
    members = {name: value for name, value in GOOD[action].items() if name != member}
    assert await call(api, action, members) == (400, *OTHERWISE[action, member])
    assert await call(api, action, {**members, member: None}) == (400, *OTHERWISE[action, member])


OPTIONAL = [both for both in (*TEXTS, *INTEGERS, *LISTS, *MAPS) if both not in (*NEEDED, *OTHERWISE)]


@pytest.mark.parametrize(("action", "member"), OPTIONAL)
async def test_null_is_as_if_it_were_not_there(api: Sqs, action: str, member: str):
    good = {"MaxResults": 1, **GOOD[action]} if member == "NextToken" else GOOD[action]
    nothing = (400, "InvalidParameterValueException") if member == "TagKeys" else (200, "")
    assert (await call(api, action, {**good, member: None}))[:2] == nothing


@pytest.mark.parametrize("value", ["5", 5, 5.0])
async def test_whole_numbers_may_be_spelled_otherwise(api: Sqs, value: object):
    assert (await call(api, "ListQueues", {"MaxResults": value}))[0] == 200


@pytest.mark.parametrize(
    ("value", "taken"), [(5, True), ("5", True), (0, True), (5.0, False), (True, False), (10**30, False)]
)
async def test_attributes_are_texts_and_plain_values_are_read_as_such(api: Sqs, value: object, taken: bool):
    told = await call(api, "SetQueueAttributes", {"QueueUrl": "orders", "Attributes": {"DelaySeconds": value}})
    assert told[:2] == ((200, "") if taken else (400, "InvalidAttributeValue"))


# Spellings


@pytest.mark.parametrize("name", ["delayseconds", "DELAYSECONDS", "DelaySeconds ", "Delayseconds", "all", "ALL"])
async def test_names_of_attributes_are_case_sensitive(sqs: Sqs, name: str):
    url = await sqs.create()
    with sqs.refuses("InvalidAttributeName", f"Unknown Attribute {name}."):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={name: "1"})
    with sqs.refuses("InvalidAttributeName", f"Unknown Attribute {name}."):
        await sqs.attributes(url, name)


async def test_names_of_queues_are_case_sensitive(sqs: Sqs):
    urls = [await sqs.create(name) for name in ("orders", "Orders", "ORDERS")]
    assert len(set(urls)) == 3
    assert sorted((await sqs("ListQueues"))["QueueUrls"]) == sorted(urls)
    assert (await sqs("ListQueues", QueueNamePrefix="Or"))["QueueUrls"] == [urls[1]]
    with sqs.refuses("AWS.SimpleQueueService.NonExistentQueue"):
        await sqs("GetQueueUrl", QueueName="oRDERS")


@pytest.mark.parametrize(
    "name", [f"{HOST}/{ACCOUNT}/orders", "/orders", "orders/", "x/orders", "a b", "x" * 81, "orders%20", "é"]
)
async def test_a_name_is_no_url(sqs: Sqs, name: str):
    await sqs.create()
    with sqs.refuses("AWS.SimpleQueueService.NonExistentQueue"):
        await sqs("GetQueueUrl", QueueName=name)


@pytest.mark.parametrize("owner", ["abc", "12345678901x", "1/../2", "-1", "1" * 21, "١"])
async def test_an_owner_that_is_no_account_has_no_queues(sqs: Sqs, owner: str):
    await sqs.create()
    with sqs.refuses("AWS.SimpleQueueService.NonExistentQueue"):
        await sqs("GetQueueUrl", QueueName="orders", QueueOwnerAWSAccountId=owner)


@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
async def test_true_and_false_in_any_case(sqs: Sqs, word: str):
    url = await sqs.create("orders.fifo", FifoQueue=word, ContentBasedDeduplication=word, SqsManagedSseEnabled=word)
    names = ("FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled")
    assert await sqs.attributes(url, *names) == dict.fromkeys(names, "true")


@pytest.mark.parametrize("word", ["", "1", "yes", " true", "t"])
@pytest.mark.parametrize("name", ["ContentBasedDeduplication", "SqsManagedSseEnabled"])
async def test_other_words_are_neither(sqs: Sqs, name: str, word: str):
    with sqs.refuses("InvalidAttributeValue", f"Invalid value for the parameter {name}."):
        await sqs.create("orders.fifo", **{name: word})


SCOPE, LIMIT = "DeduplicationScope", "FifoThroughputLimit"
FIFO = [
    ({SCOPE: "queue"}, None),
    ({SCOPE: "messageGroup"}, None),
    ({SCOPE: "queue", LIMIT: "perQueue"}, None),
    ({SCOPE: "messageGroup", LIMIT: "perQueue"}, None),
    ({SCOPE: "messageGroup", LIMIT: "perMessageGroupId"}, None),
    ({LIMIT: "perMessageGroupId", SCOPE: "messageGroup"}, None),
    ({LIMIT: "perQueue"}, None),
    ({LIMIT: "perMessageGroupId"}, LIMIT),
    ({SCOPE: "queue", LIMIT: "perMessageGroupId"}, LIMIT),
    *(({SCOPE: bad}, SCOPE) for bad in ("", "MessageGroup", "perQueue", " queue")),
    *(({LIMIT: bad}, LIMIT) for bad in ("", "PerQueue", "messageGroup", "perQueue ")),
]


@pytest.mark.parametrize(("attributes", "refused"), FIFO)
async def test_the_attributes_of_high_throughput_go_together(sqs: Sqs, attributes: dict, refused: str | None):
    url = await sqs.create("old.fifo")
    for action, members in (
        ("SetQueueAttributes", {"QueueUrl": url, "Attributes": attributes}),
        ("CreateQueue", {"QueueName": "new.fifo", "Attributes": {"FifoQueue": "true", **attributes}}),
    ):
        if refused is None:
            await sqs(action, **members)
            assert await sqs.attributes(members.get("QueueUrl", "new.fifo"), *attributes) == attributes
        else:
            both = attributes.get(LIMIT) == "perMessageGroupId"
            why = f" Reason: To set {LIMIT} to perMessageGroupId, the {SCOPE} must be messageGroup." if both else ""
            with sqs.refuses("InvalidAttributeValue", f"Invalid value for the parameter {refused}.{why}"):
                await sqs(action, **members)


@pytest.mark.parametrize("name", ["ContentBasedDeduplication", SCOPE, LIMIT, "FifoQueue"])
@pytest.mark.parametrize("value", ["true", "false", "queue", ""])
async def test_a_standard_queue_takes_no_fifo_attribute_whatever_its_value(sqs: Sqs, name: str, value: str):
    url = await sqs.create()
    with sqs.refuses("InvalidAttributeName"):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={name: value})
    assert await sqs.attributes(url, name) == {}


# Encryption


async def test_how_long_a_key_is_used_by_default_is_not_told_without_a_key(sqs: Sqs):
    reuse = "KmsDataKeyReusePeriodSeconds"
    url = await sqs.create(**{reuse: "300"})
    assert await sqs.attributes(url, reuse) == {}
    assert await sqs.create(**{reuse: "300"}) == url
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={reuse: "600"})
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={reuse: "300"})
    assert await sqs.attributes(url, reuse) == {}
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"KmsMasterKeyId": "k"})
    assert await sqs.attributes(url, reuse) == {reuse: "300"}


async def test_how_long_a_key_is_used_is_kept_without_a_key_too(sqs: Sqs):
    url = await sqs.create(KmsDataKeyReusePeriodSeconds="600")
    names = ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds")
    assert await sqs.attributes(url, *names) == {"KmsDataKeyReusePeriodSeconds": "600"}
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"KmsMasterKeyId": "alias/k"})
    assert await sqs.attributes(url, *names) == {"KmsMasterKeyId": "alias/k", "KmsDataKeyReusePeriodSeconds": "600"}
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"KmsMasterKeyId": ""})
    assert await sqs.attributes(url, *names) == {"KmsDataKeyReusePeriodSeconds": "600"}


KEY, MANAGED = "KmsMasterKeyId", "SqsManagedSseEnabled"


@pytest.mark.parametrize(
    ("first", "then", "shown"),
    [
        ({KEY: "k"}, {KEY: ""}, {MANAGED: "true"}),
        ({KEY: "k", MANAGED: "false"}, {KEY: ""}, {MANAGED: "true"}),
        ({KEY: "k"}, {KEY: "", MANAGED: "false"}, {MANAGED: "false"}),
        ({KEY: "k"}, {MANAGED: "false", KEY: ""}, {MANAGED: "false"}),
        ({KEY: "k"}, {MANAGED: "false"}, {KEY: "k", MANAGED: "false"}),
        ({KEY: "k"}, {MANAGED: "true", KEY: ""}, {MANAGED: "true"}),
        ({KEY: "k"}, {MANAGED: "true"}, {MANAGED: "true"}),
        ({MANAGED: "false"}, {KEY: ""}, {MANAGED: "false"}),
        ({MANAGED: "false"}, {KEY: "k"}, {KEY: "k", MANAGED: "false"}),
        ({}, {KEY: "k"}, {KEY: "k", MANAGED: "false"}),
    ],
)
async def test_a_queue_without_a_key_is_encrypted_by_sqs_unless_it_says_otherwise(
    sqs: Sqs, first: dict, then: dict, shown: dict
):
    url = await sqs.create(**first)
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes=then)
    assert await sqs.attributes(url, KEY, MANAGED) == shown


@pytest.mark.parametrize(("value", "taken"), [(59, False), (60, True), (86_400, True), (86_401, False), ("", False)])
async def test_the_range_of_how_long_a_key_is_used(sqs: Sqs, value: object, taken: bool):
    if taken:
        await sqs.create(KmsDataKeyReusePeriodSeconds=str(value))
    else:
        sentence = "Invalid value for the parameter KmsDataKeyReusePeriodSeconds."
        with sqs.refuses("InvalidAttributeValue", sentence):
            await sqs.create(KmsDataKeyReusePeriodSeconds=str(value))


# Policies


@pytest.mark.parametrize(("count", "taken"), [(20, True), (21, False)])
async def test_how_many_statements_a_policy_may_have(sqs: Sqs, count: int, taken: bool):
    url = await sqs.create()
    policy = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": str(n)} for n in range(count)]})}
    if taken:
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes=policy)
        assert await sqs.attributes(url, "Policy") == policy
        return
    sentence = f"{count} statements were found in the submitted policy, max allowed is 20"
    with sqs.refuses("OverLimit", sentence, status=403):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes=policy)
    assert await sqs.attributes(url, "Policy") == {}


# What is the same


POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*"}]}
BY_QUEUE = {"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}a", f"{ARN}b"]}
SAME = [
    ("RedrivePolicy", redrive(), f'{{"maxReceiveCount":3,"deadLetterTargetArn":"{ARN}dead"}}'),
    ("RedrivePolicy", redrive(), redrive(count="3")),
    ("RedrivePolicy", redrive(count="3"), redrive()),
    ("RedriveAllowPolicy", json.dumps(BY_QUEUE), json.dumps(BY_QUEUE, indent=1)),
    ("Policy", json.dumps(POLICY), json.dumps(POLICY, sort_keys=True, indent=2)),
    ("KmsMasterKeyId", "alias/k", "alias/k"),
    ("VisibilityTimeout", "0", "0"),
    ("VisibilityTimeout", "5", "05"),
    ("SqsManagedSseEnabled", "false", "FALSE"),
]
OTHER = [
    ("RedrivePolicy", redrive(), redrive(count=4)),
    ("RedriveAllowPolicy", json.dumps(BY_QUEUE), '{"redrivePermission":"denyAll"}'),
    ("RedriveAllowPolicy", '{"redrivePermission":"allowAll"}', '{"redrivePermission":"denyAll"}'),
    ("Policy", json.dumps(POLICY), json.dumps({**POLICY, "Version": "2008-10-17"})),
    ("KmsMasterKeyId", "alias/k", "alias/l"),
    ("VisibilityTimeout", "0", "30"),
    ("VisibilityTimeout", "30", "0"),
    ("MaximumMessageSize", "1024", "1025"),
    ("MessageRetentionPeriod", "60", "61"),
    ("DelaySeconds", "0", "1"),
    ("ReceiveMessageWaitTimeSeconds", "0", "1"),
    ("SqsManagedSseEnabled", "true", "false"),
    ("KmsDataKeyReusePeriodSeconds", "60", "61"),
]


@pytest.mark.parametrize(("name", "value", "again"), SAME)
async def test_a_queue_may_be_created_again_with_a_value_that_says_the_same(
    sqs: Sqs, name: str, value: str, again: str
):
    await sqs.create("dead")
    url = await sqs.create(**{name: value})
    assert await sqs.create(**{name: again}) == url


@pytest.mark.parametrize(("name", "value", "other"), OTHER)
async def test_and_not_with_one_that_says_something_else(sqs: Sqs, name: str, value: str, other: str):
    await sqs.create("dead")
    url = await sqs.create(**{name: value})
    shown = await sqs.attributes(url, name)
    sentence = f"A queue already exists with the same name and a different value for attribute {name}"
    with sqs.refuses("QueueAlreadyExists", sentence):
        await sqs.create(**{name: other})
    assert await sqs.attributes(url, name) == shown


async def test_a_queue_of_another_wire_keeps_its_type(sqs: Sqs):
    await sqs.own.create("orders.fifo")
    sentence = "A queue already exists with the same name and a different value for attribute FifoQueue"
    with sqs.refuses("QueueAlreadyExists", sentence):
        await sqs.create("orders.fifo")
    await sqs.own.create("orders", fifo=True)
    assert await sqs.create("orders") == f"{HOST}/{ACCOUNT}/orders"


@pytest.mark.parametrize("name", ["RedrivePolicy", "RedriveAllowPolicy", "Policy", "KmsMasterKeyId"])
async def test_an_empty_value_removes_it(sqs: Sqs, name: str):
    await sqs.create("dead")
    value = {
        "RedrivePolicy": redrive(),
        "RedriveAllowPolicy": '{"redrivePermission":"denyAll"}',
        "Policy": json.dumps(POLICY),
        "KmsMasterKeyId": "k",
    }[name]
    url = await sqs.create(**{name: value})
    assert await sqs.attributes(url, name) != {}
    for _ in range(2):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={name: ""})
        assert await sqs.attributes(url, name) == {}


async def test_one_bad_attribute_changes_none(sqs: Sqs):
    url = await sqs.create()
    before = await sqs.attributes(url)
    for bad in ({"VisibilityTimeout": "x"}, {"Nope": "1"}, {"RedrivePolicy": redrive(f"{ARN}nowhere")}):
        with pytest.raises(Exception, match=r"Invalid"):
            await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "7", **bad})
    assert await sqs.attributes(url) == before


# Counts in redrive policies are shown as they were written


@pytest.mark.parametrize(
    ("count", "shown"), [(None, "null"), (True, "true"), (1.5, "1.5"), ("", ""), (" 5", " 5"), ("1001", "1001")]
)
async def test_a_count_that_is_none_is_shown_as_it_was_written(sqs: Sqs, count: object, shown: str):
    await sqs.create("dead")
    text = redrive(count=count)
    sentence = (
        f"Value {text} for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: {shown}, "
        "valid values are from 1 to 1000 both inclusive."
    )
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.create(RedrivePolicy=text)


@pytest.mark.parametrize("count", [1, 1_000, "1", "1000"])
async def test_the_range_of_counts(sqs: Sqs, count: object):
    await sqs.create("dead")
    url = await sqs.create(RedrivePolicy=redrive(count=count))
    assert json.loads((await sqs.attributes(url))["RedrivePolicy"])["maxReceiveCount"] == int(str(count))


# Several nodes, and several calls at once


async def test_calls_that_go_together_lose_nothing_of_one_another(sqs: Sqs, monkeypatch: pytest.MonkeyPatch):
    url = await sqs.create()
    catalog = sqs.own.backend.catalog
    at_once = catalog.find

    async def slowly(name: str) -> Queue | None:
        found = await at_once(name)
        await asyncio.sleep(0)
        return found

    monkeypatch.setattr(catalog, "find", slowly)
    await asyncio.gather(
        *[sqs("TagQueue", QueueUrl=url, Tags={str(n): "v"}) for n in range(5)],
        *[
            sqs("SetQueueAttributes", QueueUrl=url, Attributes={name: "1"})
            for name in ("DelaySeconds", "VisibilityTimeout")
        ],
        *[
            sqs("AddPermission", QueueUrl=url, Label=str(n), AWSAccountIds=["1"], Actions=["SendMessage"])
            for n in range(5)
        ],
    )
    assert (await sqs("ListQueueTags", QueueUrl=url))["Tags"] == {str(n): "v" for n in range(5)}
    found = await sqs.attributes(url, "DelaySeconds", "VisibilityTimeout", "Policy")
    assert (found["DelaySeconds"], found["VisibilityTimeout"]) == ("1", "1")
    assert sorted(each["Sid"] for each in json.loads(found["Policy"])["Statement"]) == [str(n) for n in range(5)]


@pytest.mark.parametrize("protocol", ["json", "query"])
async def test_a_queue_that_another_node_deleted_is_created_anew(protocol: str):
    async with sqs_api(protocol, strict_timing=False) as sqs:
        other = sqs.own.neighbour()
        url = await sqs.create(DelaySeconds="1")
        await sqs.send(url)
        await other.administration.delete("orders")
        assert await sqs.create(DelaySeconds="2") == url
        assert await sqs.attributes(url, "DelaySeconds") == {"DelaySeconds": "2"}
        await sqs.send(await sqs.create("dead"))
        await other.administration.delete("dead")
        with sqs.refuses("InvalidParameterValue"):
            await sqs.create("more", RedrivePolicy=redrive())


@pytest.mark.parametrize("protocol", ["json", "query"])
async def test_a_group_id_changes_nothing_else_of_a_queue(protocol: str):
    async with sqs_api(protocol) as sqs:
        url = await sqs.create(VisibilityTimeout="1")
        await sqs.send(url)
        await sqs.own.neighbour().administration.put("orders", QueueSettings(visibility_ms=7_000))
        await sqs.send(url, MessageGroupId="g")
        assert (await sqs.attributes(url, "VisibilityTimeout"))["VisibilityTimeout"] == "7"
        assert (await sqs.own.administration.get("orders")).settings.fair
