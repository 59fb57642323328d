"""What ApproximateNumberOfMessages, …NotVisible and …Delayed say after everything that happens to messages."""

import json
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.sqs.api import ARN, Sqs

Step = Callable[[Sqs, str], Awaitable[object]]
POLICY = json.dumps({"deadLetterTargetArn": f"{ARN}dead", "maxReceiveCount": 1})


def entries(count: int, **fields: object) -> list[dict]:
    return [{"Id": str(n), "MessageBody": f"m{n}", **fields} for n in range(count)]


async def send_two(sqs: Sqs, url: str) -> None:
    await sqs("SendMessageBatch", QueueUrl=url, Entries=entries(2))


async def send_delayed(sqs: Sqs, url: str) -> None:
    await sqs.send(url, DelaySeconds=30)


async def receive_one(sqs: Sqs, url: str) -> None:
    assert len(await sqs.receive(url, 1)) == 1


async def receive_and_delete(sqs: Sqs, url: str) -> None:
    (message,) = await sqs.receive(url, 1)
    await sqs.delete(url, message)


async def receive_and_release(sqs: Sqs, url: str) -> None:
    (message,) = await sqs.receive(url, 1)
    await sqs("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)


async def look_with_no_visibility(sqs: Sqs, url: str) -> None:
    assert await sqs.receive(url, 1, VisibilityTimeout=0)


async def receive_and_delete_late(sqs: Sqs, url: str) -> None:
    (message,) = await sqs.receive(url, 1, VisibilityTimeout=1)
    sqs.shift(2)
    await sqs.delete(url, message)


async def purge(sqs: Sqs, url: str) -> None:
    await sqs("PurgeQueue", QueueUrl=url)


def later(seconds: int) -> Step:
    async def step(sqs: Sqs, _url: str) -> None:
        sqs.shift(seconds)
        await sqs.own.sweep.settle_due()
        await sqs.own.sweep.clear()

    return step


CASES: list[tuple[str, list[Step], tuple[int, int, int]]] = [
    ("nothing", [], (0, 0, 0)),
    ("sent", [send_two], (2, 0, 0)),
    ("sent with a delay", [send_two, send_delayed], (2, 0, 1)),
    ("the delay is over", [send_delayed, later(30)], (1, 0, 0)),
    ("the delay is almost over", [send_delayed, later(29)], (0, 0, 1)),
    ("received", [send_two, receive_one], (1, 1, 0)),
    ("all received", [send_two, receive_one, receive_one], (0, 2, 0)),
    ("received with no visibility timeout", [send_two, look_with_no_visibility], (2, 0, 0)),
    ("deleted", [send_two, receive_and_delete], (1, 0, 0)),
    ("deleted after its time", [send_two, receive_and_delete_late], (1, 0, 0)),
    ("released", [send_two, receive_and_release], (2, 0, 0)),
    ("the visibility timeout is over", [send_two, receive_one, later(30)], (2, 0, 0)),
    ("the visibility timeout is almost over", [send_two, receive_one, later(29)], (1, 1, 0)),
    ("purged", [send_two, send_delayed, receive_one, purge], (0, 0, 0)),
    ("sent after a purge", [send_two, purge, send_two], (2, 0, 0)),
    ("past its retention", [send_two, send_delayed, later(345_601)], (0, 0, 0)),
    ("received and past its retention", [send_two, receive_one, later(345_601)], (0, 0, 0)),
]


@pytest.mark.parametrize(("steps", "counts"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_counts(sqs: Sqs, steps: list[Step], counts: tuple[int, int, int]):
    url = await sqs.create()
    for step in steps:
        await step(sqs, url)
    assert await sqs.counts(url) == counts


async def test_counts_where_the_queue_delays(sqs: Sqs):
    url = await sqs.create(DelaySeconds="20")
    await send_two(sqs, url)
    await send_delayed(sqs, url)
    counts = [await sqs.counts(url)]
    for seconds in (20, 10):
        await later(seconds)(sqs, url)
        counts.append(await sqs.counts(url))
    assert counts == [(0, 0, 3), (2, 0, 1), (3, 0, 0)]


async def test_a_dead_letter_counts_in_its_new_queue_and_back_again(sqs: Sqs):
    dlq = await sqs.create("dead")
    url = await sqs.create(RedrivePolicy=POLICY)
    await send_two(sqs, url)
    await sqs.receive(url, 1)
    await later(30)(sqs, url)
    assert (await sqs.counts(url), await sqs.counts(dlq)) == ((1, 0, 0), (1, 0, 0))
    await sqs("StartMessageMoveTask", SourceArn=f"{ARN}dead")
    task = await sqs.own.redriving._redrives.take(1_000)
    while task is not None:
        task = await sqs.own.redriving.step(task)
    assert (await sqs.counts(url), await sqs.counts(dlq)) == ((2, 0, 0), (0, 0, 0))


async def test_messages_that_wait_for_their_group_are_counted_as_there(sqs: Sqs):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    await sqs("SendMessageBatch", QueueUrl=url, Entries=entries(3, MessageGroupId="g"))
    # The second time they are duplicates.
    await sqs("SendMessageBatch", QueueUrl=url, Entries=entries(3, MessageGroupId="g"))
    await receive_one(sqs, url)
    assert (await sqs.receive(url), await sqs.counts(url)) == ([], (2, 1, 0))


@pytest.mark.parametrize("names", [["ApproximateNumberOfMessages"], ["ApproximateNumberOfMessagesDelayed", "QueueArn"]])
async def test_a_count_may_be_asked_for_alone(sqs: Sqs, names: list[str]):
    url = await sqs.create()
    assert set(await sqs.attributes(url, *names)) == set(names)
