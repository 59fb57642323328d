"""Tags and permissions of queues."""

import json

import pytest

from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.sqs.permissions import OWNERS, SHARED
from tests.unit.sqs.api import ARN, Sqs
from tests.unit.sqs.query_model import JSON_MODEL


async def tags(sqs: Sqs, url: str) -> dict[str, str]:
    return (await sqs("ListQueueTags", QueueUrl=url)).get("Tags", {})


async def test_tags_are_added_changed_and_removed(sqs: Sqs):
    url = await sqs.create()
    assert await sqs("ListQueueTags", QueueUrl=url) == {}
    await sqs("TagQueue", QueueUrl=url, Tags={"a": "1", "A": "2", "empty": ""})
    await sqs("TagQueue", QueueUrl=url, Tags={"a": "3", "b": "4"})
    assert await tags(sqs, url) == {"a": "3", "A": "2", "empty": "", "b": "4"}
    await sqs("UntagQueue", QueueUrl=url, TagKeys=["a", "empty", "missing"])
    assert await tags(sqs, url) == {"A": "2", "b": "4"}


async def test_a_queue_may_be_created_with_tags(sqs: Sqs):
    url = (await sqs("CreateQueue", QueueName="orders", tags={"a": "1", "b": ""}))["QueueUrl"]
    assert await tags(sqs, url) == {"a": "1", "b": ""}


async def test_a_queue_is_created_again_with_its_own_tags_or_with_none(sqs: Sqs):
    url = (await sqs("CreateQueue", QueueName="orders", tags={"a": "1", "b": "2"}))["QueueUrl"]
    for same in ({}, {"tags": {}}, {"tags": {"b": "2", "a": "1"}}):
        assert (await sqs("CreateQueue", QueueName="orders", **same))["QueueUrl"] == url
    sentence = "A queue already exists with the same name and a different value for tags"
    for other in ({"a": "1"}, {"a": "1", "b": "3"}, {"a": "1", "b": "2", "c": "3"}):
        with sqs.refuses("QueueAlreadyExists", sentence):
            await sqs("CreateQueue", QueueName="orders", tags=other)
    assert await tags(sqs, url) == {"a": "1", "b": "2"}
    await sqs.create("plain")
    with sqs.refuses("QueueAlreadyExists", sentence):
        await sqs("CreateQueue", QueueName="plain", tags={"a": "1"})


async def test_tags_that_are_refused(sqs: Sqs):
    url = await sqs.create()
    await sqs("TagQueue", QueueUrl=url, Tags={"a": "1"})
    with sqs.refuses("MissingParameter", "The request must contain the parameter Tags."):
        await sqs("TagQueue", QueueUrl=url, Tags={})
    with sqs.refuses("InvalidParameterValue", "Too many tags added for queue orders."):
        await sqs("TagQueue", QueueUrl=url, Tags={str(n): "" for n in range(50)})
    keys = "Tag keys must be between 1 and 128 characters in length."
    for bad in ({"x" * 129: "1"}, {"": "1"}):
        with sqs.refuses("InvalidParameterValue", keys):
            await sqs("TagQueue", QueueUrl=url, Tags=bad)
    with sqs.refuses("InvalidParameterValue"):
        await sqs("TagQueue", QueueUrl=url, Tags={"a": "x" * 257})
    for bad in ([], [""]):
        with sqs.refuses("InvalidParameterValue", keys):
            await sqs("UntagQueue", QueueUrl=url, TagKeys=bad)
    assert await tags(sqs, url) == {"a": "1"}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"k" * 128: "v" * 256}, True),
        ({"k" * 129: "v"}, False),
        ({"k": "v" * 257}, False),
        ({"k": ""}, True),
        ({"": "v"}, False),
        ({"é ñ+-=._:/@": "ü 1+-=._:/@"}, True),
        ({"العربية": "漢字"}, True),
        ({"a!": "v"}, False),
        ({"a,b": "v"}, False),
        ({"<k>": "v"}, False),
        ({"k": "✓"}, False),
        ({"k": "{}"}, False),
        ({"xaws:k": "v"}, True),
        ({"aws:k": "v"}, False),
        ({"AWS:k": "v"}, False),
        ({"k": "aws:v"}, True),
        ({"a b": "c d"}, True),
        ({"a\n": "v"}, False),
        ({str(n): "v" for n in range(50)}, True),
        ({str(n): "v" for n in range(51)}, False),
    ],
)
async def test_tags_at_and_beyond_their_limits(sqs: Sqs, given: dict[str, str], taken: bool):
    url = await sqs.create()
    calls = (("TagQueue", {"QueueUrl": url, "Tags": given}), ("CreateQueue", {"QueueName": "new", "tags": given}))
    for action, members in calls:
        if taken:
            await sqs(action, **members)
            assert await tags(sqs, members.get("QueueUrl", "new")) == given
        else:
            with sqs.refuses("InvalidParameterValue"):
                await sqs(action, **members)
            assert await tags(sqs, url) == {}


ALLOWED = "may only contain unicode letters, digits, whitespace, or one of these symbols: _ . : / = + - @"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"a!": "v"}, f"Tag keys {ALLOWED}"),
        ({"a": "v!"}, f"Tag values {ALLOWED}"),
    ],
)
async def test_characters_that_tags_cannot_have(sqs: Sqs, given: dict[str, str], sentence: str):
    url = await sqs.create()
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs("TagQueue", QueueUrl=url, Tags=given)


async def test_a_full_queue_of_tags_may_change_them(sqs: Sqs):
    full = {str(n): "v" for n in range(50)}
    url = (await sqs("CreateQueue", QueueName="orders", tags=full))["QueueUrl"]
    await sqs("TagQueue", QueueUrl=url, Tags={"7": "new"})
    with sqs.refuses("InvalidParameterValue", "Too many tags added for queue orders."):
        await sqs("TagQueue", QueueUrl=url, Tags={"7": "newer", "50": "v"})
    await sqs("UntagQueue", QueueUrl=url, TagKeys=["0"])
    await sqs("TagQueue", QueueUrl=url, Tags={"50": "v"})
    assert await tags(sqs, url) == {**{k: v for k, v in full.items() if k != "0"}, "7": "new", "50": "v"}


async def test_tags_of_another_wire_do_not_stand_in_the_way(sqs: Sqs):
    url = await sqs.create()
    await sqs.own.administration.put("orders", QueueSettings(tags={"aws:k": "v"}))
    await sqs("TagQueue", QueueUrl=url, Tags={"a": "1"})
    assert await tags(sqs, url) == {"aws:k": "v", "a": "1"}


@pytest.mark.parametrize("action", ["TagQueue", "UntagQueue", "ListQueueTags", "AddPermission", "RemovePermission"])
async def test_a_queue_that_is_not_there(sqs: Sqs, action: str):
    with sqs.refuses("AWS.SimpleQueueService.NonExistentQueue"):
        await sqs(action, QueueUrl="nowhere")


# Permissions


async def add(
    sqs: Sqs, url: str, label: str = "one", accounts: tuple = ("1",), actions: tuple = ("SendMessage",)
) -> None:
    await sqs("AddPermission", QueueUrl=url, Label=label, AWSAccountIds=list(accounts), Actions=list(actions))


async def policy(sqs: Sqs, url: str) -> dict | None:
    text = (await sqs.attributes(url, "Policy")).get("Policy")
    return text and json.loads(text)


def statement(label: str, principal: object, action: object) -> dict:
    return {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": action,
        "Resource": f"{ARN}orders",
    }


async def test_permissions_make_and_unmake_a_policy(sqs: Sqs):
    url = await sqs.create()
    await add(sqs, url, "one", ("1", "2"), ("ReceiveMessage",))
    await add(sqs, url, "two", ("3",), ("*", "SendMessage"))
    assert await policy(sqs, url) == {
        "Version": "2008-10-17",
        "Id": f"{ARN}orders/SQSDefaultPolicy",
        "Statement": [
            statement("one", ["arn:aws:iam::1:root", "arn:aws:iam::2:root"], "SQS:ReceiveMessage"),
            statement("two", "arn:aws:iam::3:root", ["SQS:*", "SQS:SendMessage"]),
        ],
    }
    await sqs("RemovePermission", QueueUrl=url, Label="one")
    assert [each["Sid"] for each in (await policy(sqs, url))["Statement"]] == ["two"]
    await sqs("RemovePermission", QueueUrl=url, Label="two")
    assert await policy(sqs, url) is None


async def test_a_permission_is_in_the_partition_of_its_region(sqs: Sqs):
    url = await sqs.create()
    sqs.http.headers["authorization"] = "AWS4-HMAC-SHA256 Credential=x/20260101/cn-north-1/sqs/aws4_request"
    await add(sqs, url)
    (added,) = (await policy(sqs, url))["Statement"]
    assert added["Principal"] == {"AWS": "arn:aws-cn:iam::1:root"}
    assert added["Resource"] == "arn:aws-cn:sqs:cn-north-1:000000000000:orders"


@pytest.mark.parametrize("statements", [None, {"Sid": "mine"}, [{"Sid": "mine"}, 7]])
async def test_a_policy_of_the_users_own_is_edited(sqs: Sqs, statements: object):
    url = await sqs.create()
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": text})
    await add(sqs, url)
    assert (await policy(sqs, url))["Version"] == "2012-10-17"
    assert [each["Sid"] for each in (await policy(sqs, url))["Statement"]][-1] == "one"


async def test_permissions_that_are_refused(sqs: Sqs):
    url = await sqs.create()
    await add(sqs, url)
    owners = "Only the queue owner is allowed to invoke this action."
    unknown = "Please refer to the appropriate WSDL for a list of valid actions. "
    refused = [
        ({"label": "one"}, "Value one for parameter Label is invalid. Reason: Already exists."),
        ({"accounts": ()}, "Value [] for parameter PrincipalId is invalid. Reason: Unable to verify."),
        (
            {"actions": ("RemovePermission",)},
            f"Value SQS:RemovePermission for parameter ActionName is invalid. Reason: {owners}",
        ),
        ({"actions": ("Foo",)}, f"Value SQS:Foo for parameter ActionName is invalid. Reason: {unknown}"),
    ]
    for given, sentence in refused:
        with sqs.refuses("InvalidParameterValue", sentence):
            await add(sqs, url, **{"label": "two", **given})
    with sqs.refuses("MissingParameter", "The request must contain the parameter Actions."):
        await add(sqs, url, "two", actions=())
    with sqs.refuses("MissingParameter", "The request must contain the parameter Label."):
        await add(sqs, url, "")
    with sqs.refuses("OverLimit", "8 Actions were found, maximum allowed is 7.", status=403):
        await add(sqs, url, "two", actions=("SendMessage",) * 8)
    with sqs.refuses("InvalidParameterValue"):
        await add(sqs, url, "a b")
    with sqs.refuses("InvalidParameterValue", "Value two for parameter Label is invalid. Reason: can't find label."):
        await sqs("RemovePermission", QueueUrl=url, Label="two")


async def test_how_many_permissions_a_queue_may_have(sqs: Sqs):
    url = await sqs.create()
    for n in range(20):
        await add(sqs, url, f"l{n}")
    with sqs.refuses("OverLimit", "21 Statements were found, maximum allowed is 20.", status=403):
        await add(sqs, url, "more")
    await sqs("RemovePermission", QueueUrl=url, Label="l7")
    await add(sqs, url, "more")


@pytest.mark.parametrize("label", ["a", "x" * 80, "A-b_9"])
async def test_labels_that_are_taken(sqs: Sqs, label: str):
    url = await sqs.create()
    await add(sqs, url, label)
    with sqs.refuses("InvalidParameterValue", f"Value {label} for parameter Label is invalid. Reason: Already exists."):
        await add(sqs, url, label)
    await sqs("RemovePermission", QueueUrl=url, Label=label)
    await add(sqs, url, label)


@pytest.mark.parametrize("label", ["x" * 81, "a.b", "é", "*", " ", "a\n"])
async def test_labels_that_are_refused(sqs: Sqs, label: str):
    url = await sqs.create()
    sentence = (
        f"Value {label} for parameter Label is invalid. Reason: Can only include alphanumeric characters, hyphens, or "
        "underscores. 1 to 80 in length"
    )
    with sqs.refuses("InvalidParameterValue", sentence):
        await add(sqs, url, label)
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs("RemovePermission", QueueUrl=url, Label=label)


@pytest.mark.parametrize("account", ["*", "abc", "12345678901x", "arn:aws:iam::1:root", "-1", "١", "1" * 21])
async def test_accounts_that_cannot_be_verified(sqs: Sqs, account: str):
    url = await sqs.create()
    sentence = f"Value [1, {account}] for parameter PrincipalId is invalid. Reason: Unable to verify."
    with sqs.refuses("InvalidParameterValue", sentence):
        await add(sqs, url, accounts=("1", account))
    assert await policy(sqs, url) is None


@pytest.mark.parametrize("action", [*SHARED, *OWNERS, "sendmessage", "SendMessageBatch", "SQS:SendMessage", ""])
async def test_each_action_is_shared_or_not(sqs: Sqs, action: str):
    url = await sqs.create()
    if action in SHARED:
        await add(sqs, url, actions=(action,))
        assert (await policy(sqs, url))["Statement"][0]["Action"] == f"SQS:{action}"
    else:
        with sqs.refuses("InvalidParameterValue"):
            await add(sqs, url, actions=(action,))


def test_actions_that_are_shared_or_not_are_all_but_batches():
    batches = {name for name in JSON_MODEL.operation_names if name.endswith("Batch")}
    assert {*SHARED, *OWNERS} - {"*"} == set(JSON_MODEL.operation_names) - batches


@pytest.mark.parametrize(("count", "taken"), [(1, True), (7, True), (8, False)])
async def test_how_many_actions_a_permission_may_have(sqs: Sqs, count: int, taken: bool):
    url = await sqs.create()
    if taken:
        await add(sqs, url, actions=SHARED[:count])
        return
    with sqs.refuses("OverLimit", f"{count} Actions were found, maximum allowed is 7.", status=403):
        await add(sqs, url, actions=SHARED[:count])
