"""RedrivePolicy and RedriveAllowPolicy: which queue's messages are dead-lettered where, and who may."""

import json

import pytest

from sqslite.domain.queues import QueueSettings
from tests.unit.sqs.api import ACCOUNT, ARN, HOST, Sqs

NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"


def redrive(target: str = f"{ARN}dead", count: object = 3, **more: object) -> str:
    return json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": count, **more})


async def test_a_redrive_policy_is_shown_as_it_was_given(sqs: Sqs):
    await sqs.create("dead")
    url = await sqs.create(RedrivePolicy=redrive())
    assert await sqs.attributes(url, "RedrivePolicy") == {"RedrivePolicy": redrive()}
    assert await sqs.create(RedrivePolicy=redrive()) == url
    # A count in quotes is a number all the same.
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": redrive(count="7")})
    assert json.loads((await sqs.attributes(url))["RedrivePolicy"]) == json.loads(redrive(count=7))
    settings = (await sqs.own.administration.get("orders")).settings
    assert (settings.dlq, settings.max_retries) == ("dead", 7)
    await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in await sqs.attributes(url)
    await sqs.own.administration.put("orders", QueueSettings(dlq="dead", max_retries=9))
    assert json.loads((await sqs.attributes(url))["RedrivePolicy"]) == json.loads(redrive(count=9))


@pytest.mark.parametrize("text", [" ", "4", "[]", "{", '"x"'])
async def test_a_redrive_policy_that_is_no_map(sqs: Sqs, text: str):
    sentence = "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid JSON map."
    with sqs.refuses("InvalidAttributeValue", sentence):
        await sqs.create(RedrivePolicy=text)


RANGE = ", valid values are from 1 to 1000 both inclusive."
REDRIVES = [
    ("{}", "Redrive policy does not contain mandatory attribute: maxReceiveCount."),
    ('{"maxReceiveCount":5}', "Redrive policy does not contain mandatory attribute: deadLetterTargetArn."),
    (redrive(count=-36), f"Invalid value for maxReceiveCount: -36{RANGE}"),
    (redrive(count=0), f"Invalid value for maxReceiveCount: 0{RANGE}"),
    (redrive(count=1001), f"Invalid value for maxReceiveCount: 1001{RANGE}"),
    (redrive(count="x"), f"Invalid value for maxReceiveCount: x{RANGE}"),
    (redrive("dummy"), "Invalid value for deadLetterTargetArn."),
    (redrive("arn:aws:sns:us-east-1:1:t"), "Only SQS queues are valid resources for deadLetterTargetArn."),
    (redrive(f"{ARN}x.fifo"), "Dead-letter queue must be same type of queue as the source.."),
    (redrive(f"{ARN}nowhere"), "Dead letter target does not exist."),
    (redrive(dummy=1), "Only following attributes are supported: [maxReceiveCount, deadLetterTargetArn]."),
]


@pytest.mark.parametrize(("text", "reason"), REDRIVES)
async def test_redrive_policies_that_are_refused(sqs: Sqs, text: str, reason: str):
    await sqs.create("dead")
    url = await sqs.create()
    sentence = f"Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}"
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.create("new", RedrivePolicy=text)
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": text})
    assert "RedrivePolicy" not in await sqs.attributes(url)


async def test_a_dead_letter_queue_has_its_sources_type(sqs: Sqs):
    await sqs.create("dead")
    await sqs.create("dead.fifo")
    assert await sqs.create("orders.fifo", RedrivePolicy=redrive(f"{ARN}dead.fifo"))
    with sqs.refuses("InvalidParameterValue"):
        await sqs.create("more.fifo", RedrivePolicy=redrive(f"{ARN}dead"))


async def test_the_sources_of_a_dead_letter_queue(sqs: Sqs):
    dlq = await sqs.create("dead")
    assert (await sqs("ListDeadLetterSourceQueues", QueueUrl=dlq)).get("queueUrls", []) == []
    for name in ("c", "a", "b"):
        await sqs.create(name, RedrivePolicy=redrive())
    await sqs.create("other")
    urls = [f"{HOST}/{ACCOUNT}/{name}" for name in "abc"]
    assert await sqs("ListDeadLetterSourceQueues", QueueUrl=dlq) == {"queueUrls": urls}
    first = await sqs("ListDeadLetterSourceQueues", QueueUrl=dlq, MaxResults=2)
    assert first["queueUrls"] == urls[:2]
    second = await sqs("ListDeadLetterSourceQueues", QueueUrl=dlq, MaxResults=2, NextToken=first["NextToken"])
    assert second == {"queueUrls": urls[2:]}


ALLOW = "Amazon SQS can't create the redrive allow policy."
FORMAT = "Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format."


@pytest.mark.parametrize(
    "text",
    [
        "444",
        "badjson",
        "[]",
        "{}",
        '{"redrivePermission":"dummy"}',
        '{"redrivePermission":"allowAll","dummy":1}',
        '{"redrivePermission":"byQueue","sourceQueueArns":"arn"}',
        '{"redrivePermission":"byQueue","sourceQueueArns":[{}]}',
    ],
)
async def test_allow_policies_in_an_unsupported_format(sqs: Sqs, text: str):
    with sqs.refuses("InvalidAttributeValue", f"Invalid value for the parameter RedriveAllowPolicy. Reason: {FORMAT}"):
        await sqs.create(RedriveAllowPolicy=text)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (
            {"redrivePermission": "byQueue"},
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values.",
        ),
        (
            {"redrivePermission": "byQueue", "sourceQueueArns": []},
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values.",
        ),
        (
            {"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}q{n}" for n in range(11)]},
            "The maximum number of source queue ARNs you can specify is 10.",
        ),
        (
            {"redrivePermission": "allowAll", "sourceQueueArns": [f"{ARN}q"]},
            "To specify one or more source queue ARNs, you must set redrivePermission to byQueue.",
        ),
    ],
)
async def test_allow_policies_that_are_refused(sqs: Sqs, policy: dict, reason: str):
    text = json.dumps(policy)
    sentence = f"Value {text} for parameter RedriveAllowPolicy is invalid. Reason: {ALLOW} {reason}"
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.create(RedriveAllowPolicy=text)


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        ({"redrivePermission": "allowAll"}, True),
        ({"redrivePermission": "denyAll"}, False),
        ({"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}orders"]}, True),
        ({"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}other"]}, False),
    ],
)
async def test_a_dead_letter_queue_says_who_may_use_it(sqs: Sqs, policy: dict, allowed: bool):
    dlq = await sqs.create("dead", RedriveAllowPolicy=json.dumps(policy))
    assert (await sqs.attributes(dlq))["RedriveAllowPolicy"] == json.dumps(policy)
    if allowed:
        await sqs.create(RedrivePolicy=redrive())
    else:
        with sqs.refuses("InvalidParameterValue"):
            await sqs.create(RedrivePolicy=redrive())
    await sqs("SetQueueAttributes", QueueUrl=dlq, Attributes={"RedriveAllowPolicy": ""})
    await sqs.create(RedrivePolicy=redrive())


@pytest.mark.parametrize(
    ("policy", "sources"),
    [
        ({"redrivePermission": "denyAll"}, []),
        ({"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}orders"]}, ["orders"]),
    ],
)
async def test_who_may_use_a_dead_letter_queue_is_the_same_setting_for_all_wires(sqs: Sqs, policy: dict, sources: list):
    dlq = await sqs.create("dead", RedriveAllowPolicy='{"redrivePermission":"allowAll"}')
    await sqs("SetQueueAttributes", QueueUrl=dlq, Attributes={"RedriveAllowPolicy": json.dumps(policy)})
    assert (await sqs.own.administration.get("dead")).settings.redrive_allow == sources
    await sqs.own.administration.put("dead", QueueSettings(redrive_allow=sources))
    assert json.loads((await sqs.attributes(dlq))["RedriveAllowPolicy"]) == policy
    await sqs.own.administration.put("dead", QueueSettings())
    assert "RedriveAllowPolicy" not in await sqs.attributes(dlq)
