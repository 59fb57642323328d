"""Move tasks: dead letters go back, at a rate, until somebody cancels."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from tests.unit.sqs.api import ARN, Sqs
from tests.unit.test_wakeups import settled

FORMAT = "You must use this format to specify the {}: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
NOT_THERE = "The resource that you specified for the {} parameter doesn't exist."


async def dead_letters(sqs: Sqs, count: int, source: str = "orders") -> tuple[str, str]:
    dlq = await sqs.create("dead")
    policy = json.dumps({"deadLetterTargetArn": f"{ARN}dead", "maxReceiveCount": 1})
    url = await sqs.create(source, RedrivePolicy=policy)
    for n in range(count):
        await sqs.send(url, f"{source}-{n}")
        await sqs.receive(url, VisibilityTimeout=0)
    assert await sqs.receive(url) == []
    return url, dlq


@contextlib.asynccontextmanager
async def carried_out(sqs: Sqs) -> AsyncIterator[None]:
    """Somebody carries tasks out meanwhile."""
    running = asyncio.create_task(sqs.own.redriving.run())
    await settled()
    yield
    running.cancel()


async def latest(sqs: Sqs) -> dict:
    (task,) = (await sqs("ListMessageMoveTasks", SourceArn=f"{ARN}dead"))["Results"]
    return task


async def test_dead_letters_go_back_to_their_sources(sqs: Sqs):
    url, dlq = await dead_letters(sqs, 2)
    other, _ = await dead_letters(sqs, 1, "other")
    assert (await sqs("ListMessageMoveTasks", SourceArn=f"{ARN}dead")).get("Results", []) == []
    answer = await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead")
    started = int(sqs.own.clock.now().timestamp() * 1_000)
    assert await latest(sqs) == {
        "TaskHandle": answer["TaskHandle"],
        "Status": "RUNNING",
        "SourceArn": f"{ARN}dead",
        "ApproximateNumberOfMessagesMoved": 0,
        "ApproximateNumberOfMessagesToMove": 3,
        "StartedTimestamp": started,
    }
    async with carried_out(sqs):
        await sqs.own.advance(2_000)
    assert await latest(sqs) == {
        "Status": "COMPLETED",
        "SourceArn": f"{ARN}dead",
        "ApproximateNumberOfMessagesMoved": 3,
        "ApproximateNumberOfMessagesToMove": 3,
        "StartedTimestamp": started,
    }
    assert await sqs.bodies(url) == ["orders-0", "orders-1"]
    assert await sqs.bodies(other) == ["other-0"]
    assert await sqs.receive(dlq) == []


async def test_or_to_one_queue_at_a_rate_until_it_is_cancelled(sqs: Sqs):
    await dead_letters(sqs, 3)
    target = await sqs.create("target")
    answer = await sqs(
        "StartMessageMoveTask",
        SourceArn=f"{ARN}dead",
        DestinationArn=f"{ARN}target",
        MaxNumberOfMessagesPerSecond=1,
    )
    sentence = (
        "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
    )
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead")
    async with carried_out(sqs):
        await sqs.own.advance(500)
        task = await latest(sqs)
        assert (task["Status"], task["DestinationArn"], task["MaxNumberOfMessagesPerSecond"]) == (
            "RUNNING",
            f"{ARN}target",
            1,
        )
        cancelled = await sqs("CancelMessageMoveTask", TaskHandle=answer["TaskHandle"])
        await sqs.own.advance(5_000)
    task = await latest(sqs)
    assert task["Status"] == "CANCELLED"
    assert "TaskHandle" not in task
    assert 1 <= cancelled["ApproximateNumberOfMessagesMoved"] == task["ApproximateNumberOfMessagesMoved"] < 3
    assert task["ApproximateNumberOfMessagesToMove"] == 3
    assert len(await sqs.receive(target)) == task["ApproximateNumberOfMessagesMoved"]
    with sqs.refuses("InvalidParameterValue", "Only active tasks can be cancelled."):
        await sqs("CancelMessageMoveTask", TaskHandle=answer["TaskHandle"])


async def test_a_task_fails_once_its_destination_is_gone(sqs: Sqs):
    _, dlq = await dead_letters(sqs, 3)
    target = await sqs.create("target")
    arns = {"SourceArn": f"{ARN}dead", "DestinationArn": f"{ARN}target"}
    started = await sqs("StartMessageMoveTask", **arns, MaxNumberOfMessagesPerSecond=1)
    async with carried_out(sqs):
        await sqs.own.advance(500)
        await sqs("DeleteQueue", QueueUrl=target)
        await sqs.own.advance(5_000)
    assert await latest(sqs) == {
        "Status": "FAILED",
        "FailureReason": "AWS.SimpleQueueService.NonExistentQueue",
        **arns,
        "MaxNumberOfMessagesPerSecond": 1,
        "ApproximateNumberOfMessagesMoved": 1,
        "ApproximateNumberOfMessagesToMove": 3,
        "StartedTimestamp": int(sqs.own.clock.now().timestamp() * 1_000) - 5_500,
    }
    assert await sqs.counts(dlq) == (2, 0, 0)
    with sqs.refuses("InvalidParameterValue", "Only active tasks can be cancelled."):
        await sqs("CancelMessageMoveTask", TaskHandle=started["TaskHandle"])


async def test_a_task_fails_by_messages_whose_source_nobody_knows(sqs: Sqs):
    url, dlq = await dead_letters(sqs, 1)
    await sqs.send(dlq, "direct")
    await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead")
    async with carried_out(sqs):
        await sqs.own.advance(2_000)
    task = await latest(sqs)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert (task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (1, 2)
    assert await sqs.bodies(url) == ["orders-0"]
    assert await sqs.bodies(dlq) == ["direct"]


async def test_the_latest_tasks_are_listed_first(sqs: Sqs):
    await dead_letters(sqs, 0)
    async with carried_out(sqs):
        for rate in (1, 2, 3):
            await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead", MaxNumberOfMessagesPerSecond=rate)
            await sqs.own.advance(2_000)
    results = (await sqs("ListMessageMoveTasks", SourceArn=f"{ARN}dead", MaxResults=2))["Results"]
    assert [task["MaxNumberOfMessagesPerSecond"] for task in results] == [3, 2]
    for bad in (0, 11):
        with sqs.refuses("InvalidParameterValue"):
            await sqs("ListMessageMoveTasks", SourceArn=f"{ARN}dead", MaxResults=bad)


async def test_only_a_dead_letter_queue_can_be_redriven(sqs: Sqs):
    await sqs.create()
    with sqs.refuses("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."):
        await sqs("StartMessageMoveTask", SourceArn=f"{ARN}orders")


@pytest.mark.parametrize("action", ["StartMessageMoveTask", "ListMessageMoveTasks"])
async def test_a_source_that_cannot_be(sqs: Sqs, action: str):
    with sqs.refuses("MissingParameter", "The request must contain the parameter SourceArn."):
        await sqs(action, SourceArn="")
    for bad in ("dummy", "arn:aws:sns:us-east-1:1:topic", "http://localhost/1/dead"):
        with sqs.refuses("InvalidParameterValue", FORMAT.format("SourceArn")):
            await sqs(action, SourceArn=bad)
    with sqs.refuses("ResourceNotFoundException", NOT_THERE.format("SourceArn"), status=404):
        await sqs(action, SourceArn=f"{ARN}nowhere")


async def test_a_destination_that_cannot_be(sqs: Sqs):
    await dead_letters(sqs, 0)
    with sqs.refuses("ResourceNotFoundException", NOT_THERE.format("DestinationArn"), status=404):
        await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead", DestinationArn=f"{ARN}nowhere")
    with sqs.refuses("InvalidParameterValue"):
        await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead", DestinationArn=f"{ARN}dead")
    for bad in (0, 501):
        with sqs.refuses("InvalidParameterValue"):
            await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead", MaxNumberOfMessagesPerSecond=bad)


@pytest.mark.parametrize(("rate", "taken"), [(0, False), (-1, False), (1, True), (500, True), (501, False)])
async def test_rates_at_and_beyond_their_limits(sqs: Sqs, rate: int, taken: bool):
    await dead_letters(sqs, 0)
    if taken:
        await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead", MaxNumberOfMessagesPerSecond=rate)
        assert (await latest(sqs))["MaxNumberOfMessagesPerSecond"] == rate
    else:
        with sqs.refuses("InvalidParameterValue"):
            await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead", MaxNumberOfMessagesPerSecond=rate)


@pytest.mark.parametrize("target", ["target", "target.fifo"])
@pytest.mark.parametrize("source", ["dead", "dead.fifo"])
async def test_a_destination_has_its_sources_type(sqs: Sqs, source: str, target: str):
    await sqs.create(source)
    policy = json.dumps({"deadLetterTargetArn": f"{ARN}{source}", "maxReceiveCount": 1})
    await sqs.create(source.replace("dead", "orders"), RedrivePolicy=policy)
    await sqs.create(target)
    arns = {"SourceArn": f"{ARN}{source}", "DestinationArn": f"{ARN}{target}"}
    if source.endswith(".fifo") == target.endswith(".fifo"):
        assert (await sqs("StartMessageMoveTask", **arns))["TaskHandle"]
    else:
        sentence = "Source queue and destination queue must be of the same type."
        with sqs.refuses("InvalidParameterValue", sentence):
            await sqs("StartMessageMoveTask", **arns)


async def test_a_task_that_is_over_cannot_be_cancelled(sqs: Sqs):
    await dead_letters(sqs, 1)
    started = await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead")
    async with carried_out(sqs):
        await sqs.own.advance(2_000)
    with sqs.refuses("InvalidParameterValue", "Only active tasks can be cancelled."):
        await sqs("CancelMessageMoveTask", TaskHandle=started["TaskHandle"])
    # The next may begin.
    assert await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead") != started


async def test_how_many_there_were_to_move_is_what_was_there_when_the_task_began(sqs: Sqs):
    _, dlq = await dead_letters(sqs, 3)
    started = await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead", MaxNumberOfMessagesPerSecond=1)
    await sqs.send(dlq, "late")
    assert (await latest(sqs))["ApproximateNumberOfMessagesToMove"] == 3
    async with carried_out(sqs):
        await sqs.own.advance(500)
        told = await sqs("CancelMessageMoveTask", TaskHandle=started["TaskHandle"])
    for message in await sqs.receive(dlq):
        await sqs.delete(dlq, message)
    task = await latest(sqs)
    moved = told["ApproximateNumberOfMessagesMoved"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("CANCELLED", moved)
    assert task["ApproximateNumberOfMessagesToMove"] == 3


async def test_a_fifo_queue_that_is_gone_comes_back_as_one(sqs: Sqs):
    await sqs.create("dead.fifo")
    policy = json.dumps({"deadLetterTargetArn": f"{ARN}dead.fifo", "maxReceiveCount": 1})
    url = await sqs.create("orders.fifo", RedrivePolicy=policy)
    await sqs("DeleteQueue", QueueUrl="dead.fifo")
    await sqs.send(url, MessageGroupId="g", MessageDeduplicationId="d")
    await sqs.receive(url, VisibilityTimeout=0)
    assert await sqs.receive(url) == []
    assert await sqs.attributes("dead.fifo", "FifoQueue") == {"FifoQueue": "true"}
    await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead.fifo")
    await sqs("DeleteQueue", QueueUrl=url)
    async with carried_out(sqs):
        await sqs.own.advance(2_000)
    assert await sqs.attributes("orders.fifo", "FifoQueue") == {"FifoQueue": "true"}
    assert await sqs.bodies("orders.fifo") == ["hello"]


def handle(**said: str) -> str:
    return base64.b64encode(json.dumps(said).encode()).decode()


async def test_handles_that_cannot_be(sqs: Sqs):
    await dead_letters(sqs, 0)
    with sqs.refuses("MissingParameter", "The request must contain the parameter TaskHandle."):
        await sqs("CancelMessageMoveTask", TaskHandle="")
    for bad in ("foobar", "é", handle(), handle(taskId="x")):
        with sqs.refuses("InvalidParameterValue", "Value for parameter TaskHandle is invalid."):
            await sqs("CancelMessageMoveTask", TaskHandle=bad)
    with sqs.refuses("ResourceNotFoundException", NOT_THERE.format("SourceArn"), status=404):
        await sqs("CancelMessageMoveTask", TaskHandle=handle(taskId="x", sourceArn=f"{ARN}nowhere"))
    for task in ("x", "11111111-1111-4111-8111-111111111111", "9e3779b9-7f4a-4c15-8000-000000000001"):
        with sqs.refuses("ResourceNotFoundException", "Task does not exist.", status=404):
            await sqs("CancelMessageMoveTask", TaskHandle=handle(taskId=task, sourceArn=f"{ARN}dead"))
