"""DeleteMessage and ChangeMessageVisibility: what a receipt handle is good for, and for how long."""

import pytest

from tests.unit.sqs.api import Sqs

GONE = "Message does not exist or is not available for visibility timeout change."
TOO_LONG = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"


async def received(sqs: Sqs, url: str, **fields: object) -> dict:
    await sqs.send(url, **({"MessageGroupId": "g", "MessageDeduplicationId": "d"} if url.endswith(".fifo") else {}))
    (message,) = await sqs.receive(url, **fields)
    return message


async def change(sqs: Sqs, url: str, message: dict, seconds: int) -> None:
    await sqs(
        "ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
    )


async def test_a_deleted_message_is_gone_and_may_be_deleted_again(sqs: Sqs):
    url = await sqs.create()
    message = await received(sqs, url)
    for _ in range(3):
        assert await sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]) == {}
    sqs.shift(100)
    assert await sqs.receive(url) == []


async def test_a_standard_queue_deletes_after_the_time_is_over(sqs: Sqs):
    url = await sqs.create()
    message = await received(sqs, url, VisibilityTimeout=1)
    sqs.shift(2)
    await sqs.delete(url, message)
    assert await sqs.counts(url) == (0, 0, 0)


async def test_a_superseded_handle_deletes_nothing_and_says_nothing(sqs: Sqs):
    url = await sqs.create()
    old = await received(sqs, url, VisibilityTimeout=1)
    sqs.shift(1)
    (current,) = await sqs.receive(url)
    await sqs.delete(url, old)
    await change(sqs, url, old, 0)
    assert await sqs.counts(url) == (0, 1, 0)
    await sqs.delete(url, current)
    assert await sqs.counts(url) == (0, 0, 0)


@pytest.mark.parametrize("action", ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
async def test_a_fifo_queue_refuses_handles_one_by_one(sqs: Sqs, action: str):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    handles = {}
    for name, seconds in (("over", 1), ("good", 60), ("gone", 60)):
        await sqs.send(url, name, MessageGroupId=name)
        (message,) = await sqs.receive(url, VisibilityTimeout=seconds)
        handles[name] = message["ReceiptHandle"]
        if name == "gone":
            await sqs.delete(url, message)
    sqs.shift(2)
    time = {"VisibilityTimeout": 30} if action.startswith("Change") else {}
    entries = [{"Id": name, "ReceiptHandle": handle, **time} for name, handle in handles.items()]
    answer = await sqs(action, QueueUrl=url, Entries=[*entries, {"Id": "bad", "ReceiptHandle": "x", **time}])
    reasons = {entry["Id"]: entry["Message"].partition("Reason: ")[2] for entry in answer["Failed"]}
    expired = {"over": "The receipt handle has expired.", "bad": ""}
    assert reasons == (expired | {"gone": GONE} if time else expired)
    assert {entry["Id"] for entry in answer["Successful"]} == ({"good"} if time else {"good", "gone"})


@pytest.mark.parametrize("settled", [False, True])
async def test_a_fifo_queue_refuses_a_handle_whose_time_is_over(sqs: Sqs, settled: bool):
    url = await sqs.create("orders.fifo")
    message = await received(sqs, url, VisibilityTimeout=1)
    sqs.shift(2)
    if settled:
        await sqs.own.sweep.settle_due()
    handle = message["ReceiptHandle"]
    sentence = f"Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
    with sqs.refuses("InvalidParameterValue", sentence):
        await sqs.delete(url, message)
    for seconds in (0, 60):
        with sqs.refuses("InvalidParameterValue", sentence):
            await change(sqs, url, message, seconds)
    assert len(await sqs.receive(url)) == 1


async def test_a_fifo_queue_deletes_in_time_and_again(sqs: Sqs):
    url = await sqs.create("orders.fifo")
    message = await received(sqs, url)
    await sqs.delete(url, message)
    await sqs.delete(url, message)
    assert await sqs.counts(url) == (0, 0, 0)


@pytest.mark.parametrize("handle", ["garbage", "AQAA", "é", "x" * 10_000, " "])
async def test_garbage_is_no_handle(sqs: Sqs, handle: str):
    url = await sqs.create()
    sentence = f'The input receipt handle "{handle}" is not a valid receipt handle.'
    with sqs.refuses("ReceiptHandleIsInvalid", sentence, status=404):
        await sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=handle)
    with sqs.refuses("ReceiptHandleIsInvalid", sentence, status=404):
        await sqs("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=60)


async def test_a_handle_of_another_queue_is_no_handle_of_this_one(sqs: Sqs):
    url, other = await sqs.create(), await sqs.create("other")
    message = await received(sqs, url)
    sentence = f'The receipt handle "{message["ReceiptHandle"]}" is not valid for this queue.'
    with sqs.refuses("ReceiptHandleIsInvalid", sentence, status=404):
        await sqs.delete(other, message)
    with sqs.refuses("ReceiptHandleIsInvalid", sentence, status=404):
        await change(sqs, other, message, 0)
    assert await sqs.counts(url) == (0, 1, 0)


async def test_a_handle_of_a_queue_that_this_node_never_met_does_nothing(sqs: Sqs):
    url, other = await sqs.create(), await sqs.create("other")
    message = await received(sqs, url)
    sqs.own.directory.forget("orders")
    await sqs.delete(other, message)
    with sqs.refuses("InvalidParameterValue"):
        await change(sqs, other, message, 0)
    assert await sqs.counts(url) == (0, 1, 0)


@pytest.mark.parametrize("name", ["orders", "orders.fifo"])
async def test_a_handle_from_after_a_purge_by_another_node_is_good_at_once(sqs: Sqs, name: str):
    url = await sqs.create(name)
    before = await sqs.own.directory.find(name)
    assert before is not None
    await sqs("PurgeQueue", QueueUrl=url)
    kept, deleted = [await received(sqs, url) for _ in range(2)] if name == "orders" else [await received(sqs, url)] * 2
    sqs.own.directory._remember(before)
    await change(sqs, url, kept, 100)
    sqs.own.directory._remember(before)
    await sqs.delete(url, deleted)
    assert await sqs.counts(url) == (0, 1 if kept != deleted else 0, 0)


async def test_a_handle_must_be_given(sqs: Sqs):
    url = await sqs.create()
    for parameters in ({}, {"ReceiptHandle": ""}):
        with sqs.refuses("MissingParameter", "The request must contain the parameter ReceiptHandle."):
            await sqs("DeleteMessage", QueueUrl=url, **parameters)


async def test_a_handle_from_before_a_purge_is_fine(sqs: Sqs):
    url = await sqs.create()
    message = await received(sqs, url)
    await sqs("PurgeQueue", QueueUrl=url)
    await sqs.send(url, "after")
    await sqs.delete(url, message)
    assert await sqs.bodies(url) == ["after"]


# Visibility


async def test_a_message_is_held_for_longer_from_now(sqs: Sqs):
    url = await sqs.create()
    message = await received(sqs, url)
    sqs.shift(29)
    await change(sqs, url, message, 10)
    sqs.shift(9)
    assert await sqs.receive(url) == []
    sqs.shift(1)
    assert len(await sqs.receive(url)) == 1


async def test_nothing_gives_it_back_at_once(sqs: Sqs):
    url = await sqs.create()
    await change(sqs, url, await received(sqs, url), 0)
    (again,) = await sqs.receive(url)
    # For this delivery the queue's own time holds.
    assert await sqs.receive(url) == []
    await sqs.delete(url, again)


async def test_it_may_be_held_anew_after_its_time_was_over(sqs: Sqs):
    url = await sqs.create(VisibilityTimeout="2")
    message = await received(sqs, url)
    for _ in range(4):
        sqs.shift(2)
        await change(sqs, url, message, 2)
        assert await sqs.receive(url) == []
    sqs.shift(2)
    assert len(await sqs.receive(url)) == 1


async def test_a_deleted_message_cannot_be_held(sqs: Sqs):
    url = await sqs.create()
    message = await received(sqs, url)
    await sqs.delete(url, message)
    handle = message["ReceiptHandle"]
    for seconds in (42, 0):
        with sqs.refuses(
            "InvalidParameterValue", f"Value {handle} for parameter ReceiptHandle is invalid. Reason: {GONE}"
        ):
            await change(sqs, url, message, seconds)


async def test_twelve_hours_are_the_most_in_all(sqs: Sqs):
    url = await sqs.create()
    message = await received(sqs, url)
    await change(sqs, url, message, 360)
    sqs.shift(300)
    with sqs.refuses(
        "InvalidParameterValue", f"Value 43200 for parameter VisibilityTimeout is invalid. Reason: {TOO_LONG}"
    ):
        await change(sqs, url, message, 43_200)
    await change(sqs, url, message, 43_200 - 300)


@pytest.mark.parametrize("seconds", [-1, 43_201])
async def test_a_time_out_of_range_is_refused(sqs: Sqs, seconds: int):
    url = await sqs.create()
    message = await received(sqs, url)
    sentence = (
        f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200, if provided."
    )
    with sqs.refuses("InvalidParameterValue", sentence):
        await change(sqs, url, message, seconds)


async def test_a_time_must_be_given(sqs: Sqs):
    url = await sqs.create()
    message = await received(sqs, url)
    with sqs.refuses("MissingParameter", "The request must contain the parameter VisibilityTimeout."):
        await sqs("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


async def test_one_message_of_a_fifo_group_given_back_comes_alone(sqs: Sqs):
    url = await sqs.create("orders.fifo", ContentBasedDeduplication="true")
    for body, group in (("a-1", "a"), ("a-2", "a"), ("b-1", "b")):
        await sqs.send(url, body, MessageGroupId=group)
    a = [message for message in await sqs.receive(url) if message["Body"].startswith("a")]
    await change(sqs, url, a[0], 0)
    assert await sqs.receive(url) == []
    await sqs.delete(url, a[1])
    assert await sqs.bodies(url) == ["a-1"]


# Batches


async def test_a_batch_of_deletes_tells_the_outcome_of_each(sqs: Sqs):
    url = await sqs.create()
    for n in range(2):
        await sqs.send(url, str(n))
    first, second = await sqs.receive(url)
    answer = await sqs(
        "DeleteMessageBatch",
        QueueUrl=url,
        Entries=[
            {"Id": "bad", "ReceiptHandle": "garbage"},
            {"Id": "one", "ReceiptHandle": first["ReceiptHandle"]},
            {"Id": "none", "ReceiptHandle": ""},
            {"Id": "two", "ReceiptHandle": second["ReceiptHandle"]},
            {"Id": "again", "ReceiptHandle": second["ReceiptHandle"]},
        ],
    )
    assert answer["Successful"] == [{"Id": "one"}, {"Id": "two"}, {"Id": "again"}]
    assert answer["Failed"] == [
        {
            "Id": "bad",
            "SenderFault": True,
            "Code": "ReceiptHandleIsInvalid",
            "Message": 'The input receipt handle "garbage" is not a valid receipt handle.',
        },
        {
            "Id": "none",
            "SenderFault": True,
            "Code": "MissingParameter",
            "Message": "The request must contain the parameter DeleteMessageBatchRequestEntry.3.ReceiptHandle.",
        },
    ]
    assert await sqs.counts(url) == (0, 0, 0)


async def test_a_batch_of_changes_tells_the_outcome_of_each(sqs: Sqs):
    url = await sqs.create()
    for n in range(2):
        await sqs.send(url, str(n))
    first, second = await sqs.receive(url)
    answer = await sqs(
        "ChangeMessageVisibilityBatch",
        QueueUrl=url,
        Entries=[
            {"Id": "one", "ReceiptHandle": first["ReceiptHandle"], "VisibilityTimeout": 0},
            {"Id": "far", "ReceiptHandle": second["ReceiptHandle"], "VisibilityTimeout": 43_201},
            {"Id": "bad", "ReceiptHandle": "garbage", "VisibilityTimeout": 1},
            {"Id": "two", "ReceiptHandle": second["ReceiptHandle"], "VisibilityTimeout": 60},
        ],
    )
    assert answer["Successful"] == [{"Id": "one"}, {"Id": "two"}]
    assert [(entry["Id"], entry["Code"]) for entry in answer["Failed"]] == [
        ("far", "InvalidParameterValue"),
        ("bad", "ReceiptHandleIsInvalid"),
    ]
    assert await sqs.counts(url) == (1, 1, 0)


@pytest.mark.parametrize("action", ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ([f"i{n}" for n in range(11)], "TooManyEntriesInBatchRequest"),
        (["a", "a"], "BatchEntryIdsNotDistinct"),
        (["a:b"], "InvalidBatchEntryId"),
        ([""], "InvalidBatchEntryId"),
        (["x" * 81], "InvalidBatchEntryId"),
    ],
)
async def test_batches_that_are_refused_as_a_whole(sqs: Sqs, action: str, ids: list[str], code: str):
    url = await sqs.create()
    time = {"VisibilityTimeout": 1} if action.startswith("Change") else {}
    entries = [{"Id": id_, "ReceiptHandle": "h", **time} for id_ in ids]
    with sqs.refuses(f"AWS.SimpleQueueService.{code}"):
        await sqs(action, QueueUrl=url, Entries=entries)


@pytest.mark.parametrize("action", ["SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
async def test_an_empty_batch_is_refused(sqs: Sqs, action: str):
    url = await sqs.create()
    sentence = f"There should be at least one {action}RequestEntry in the request."
    with sqs.refuses("AWS.SimpleQueueService.EmptyBatchRequest", sentence):
        await sqs(action, QueueUrl=url, Entries=[])
    # JSON can tell no list from an empty one.
    code = "MissingParameter" if sqs.protocol == "json" else "AWS.SimpleQueueService.EmptyBatchRequest"
    with sqs.refuses(code):
        await sqs(action, QueueUrl=url)
