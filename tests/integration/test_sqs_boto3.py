"""boto3 and aiobotocore, unchanged, against a real server on a real socket and all three stores."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest
from aiobotocore.session import get_session
from botocore.client import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session

from tests.integration.server_process import ServerProcess, free_port, serving
from tests.unit.sqs.query_model import query_description

KEYS = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "eu-west-1"}
FAST = Config(retries={"total_max_attempts": 1}, read_timeout=30)


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    url = {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{folder}/sqs.db",
        "postgres": lambda: request.getfixturevalue("postgres_url"),
    }[request.param]()
    with serving(url, folder) as running:
        yield running


class OldLoader(Loader):
    """Knows SQS as it was before JSON."""

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        if (service_name, type_name) == ("sqs", "service-2"):
            return query_description()
        return super().load_service_model(service_name, type_name, api_version)


def client(url: str, protocol: str = "json") -> Any:
    session = Session()
    if protocol == "query":
        session.register_component("data_loader", OldLoader())
    return boto3.Session(botocore_session=session).client("sqs", endpoint_url=url, config=FAST, **KEYS)


@pytest.fixture(params=["json", "query"])
def sqs(server: ServerProcess, request: pytest.FixtureRequest) -> Any:
    return client(server.url, request.param)


def new(sqs: Any, suffix: str = "", **attributes: str) -> str:
    return sqs.create_queue(QueueName=f"q-{uuid4().hex}{suffix}", Attributes=attributes)["QueueUrl"]


def arn(sqs: Any, url: str) -> str:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def within(seconds: float, look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_message_and_its_life(sqs: Any):
    url = new(sqs)
    # boto3 compares the digests with its own.
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="<hello>\r\n é😀",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "x & y"},
            "long": {"DataType": "Number.java.lang.Long", "StringValue": "12"},
            "raw": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
        },
    )
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"])["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "<hello>\r\n é😀")
    assert message["MessageAttributes"]["raw"]["BinaryValue"] == bytes(range(256))
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(message["Attributes"]["SentTimestamp"]) / 1_000 - time.time()) < 60
    handle = message["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    (again,) = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    first = "ApproximateFirstReceiveTimestamp"
    assert again["Attributes"][first] == message["Attributes"][first]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_batches_of_ten(sqs: Any):
    url = new(sqs)
    entries = [{"Id": str(n), "MessageBody": f"m{n}"} for n in range(9)]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=[*entries, {"Id": "bad", "MessageBody": "\x01"}])
    assert len(answer["Successful"]) == 9
    assert answer["Failed"][0]["Code"] == "InvalidMessageContents"
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert {message["Body"] for message in messages} == {f"m{n}" for n in range(9)}
    gone = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=gone)["Successful"]) == 9
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == counts["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_exceptions_are_those_of_the_model(sqs: Any):
    url = new(sqs)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as missing:
        sqs.get_queue_url(QueueName="nowhere")
    assert missing.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(sqs.exceptions.EmptyBatchRequest):
        sqs.send_message_batch(QueueUrl=url, Entries=[])
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="garbage")
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=11)
    name = url.rpartition("/")[2]
    with pytest.raises(sqs.exceptions.QueueNameExists):
        sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "9"})
    sqs.purge_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.PurgeQueueInProgress):
        sqs.purge_queue(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.QueueDeletedRecently):
        sqs.create_queue(QueueName=name)


def test_a_fifo_queue(sqs: Any):
    url = new(sqs, ".fifo", FifoQueue="true", ContentBasedDeduplication="true")
    for body, group in (("a-1", "a"), ("b-1", "b"), ("a-2", "a"), ("a-1", "a")):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group)
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert [message["Body"] for message in messages] == ["a-1", "a-2", "b-1"]
    hashed = hashlib.sha256(b"a-1").hexdigest()
    assert messages[0]["Attributes"]["MessageDeduplicationId"] == hashed
    sequence = [message["Attributes"]["SequenceNumber"] for message in messages[:2]]
    assert sequence == sorted(sequence)
    sqs.send_message(QueueUrl=url, MessageBody="a-3", MessageGroupId="a")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    for message in messages[:2]:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    (following,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert following["Body"] == "a-3"


def test_dead_letters_and_their_way_back(sqs: Any):
    dlq = new(sqs)
    policy = json.dumps({"deadLetterTargetArn": arn(sqs, dlq), "maxReceiveCount": 1})
    url = new(sqs, RedrivePolicy=policy)
    assert sqs.list_dead_letter_source_queues(QueueUrl=dlq)["queueUrls"] == [url]
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")
    sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
    (dead,) = within(
        5, lambda: sqs.receive_message(QueueUrl=dlq, AttributeNames=["All"], VisibilityTimeout=0).get("Messages")
    )
    assert dead["MessageId"] == sent["MessageId"]
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == arn(sqs, url)
    sqs.start_message_move_task(SourceArn=arn(sqs, dlq))
    (back,) = within(10, lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert back["Body"] == "poison"
    (task,) = within(
        5,
        lambda: [
            task
            for task in sqs.list_message_move_tasks(SourceArn=arn(sqs, dlq))["Results"]
            if task["Status"] == "COMPLETED"
        ],
    )
    assert task["ApproximateNumberOfMessagesMoved"] == 1


def test_queues_tags_and_permissions(sqs: Any):
    url = new(sqs, VisibilityTimeout="5")
    sqs.tag_queue(QueueUrl=url, Tags={"team": "billing", "empty": ""})
    sqs.untag_queue(QueueUrl=url, TagKeys=["empty"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "billing"}
    sqs.add_permission(QueueUrl=url, Label="l", AWSAccountIds=["123456789012"], Actions=["SendMessage"])
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"})
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (attributes["VisibilityTimeout"], attributes["DelaySeconds"]) == ("5", "1")
    assert json.loads(attributes["Policy"])["Statement"][0]["Sid"] == "l"
    assert abs(int(attributes["CreatedTimestamp"]) - time.time()) < 60
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix="q-", PaginationConfig={"PageSize": 1})
    assert url in [found for page in pages for found in page.get("QueueUrls", [])]


def test_a_long_poll_is_woken(sqs: Any):
    url = new(sqs)
    threading.Timer(0.3, lambda: sqs.send_message(QueueUrl=url, MessageBody="late")).start()
    started = time.monotonic()
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert message["Body"] == "late"
    assert time.monotonic() - started < 5


def test_one_queue_every_wire(server: ServerProcess, sqs: Any):
    url = new(sqs)
    name = url.rpartition("/")[2]
    with httpx.Client(base_url=server.url, timeout=10) as rest:
        sqs.send_message(
            QueueUrl=url, MessageBody="from SQS", MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}}
        )
        (received,) = rest.post(f"/v1/queues/{name}:receive", json={"max": 1}).json()
        assert (received["body"], received["body_kind"], received["attributes"]) == ("from SQS", "text", {"a": "x"})
        assert rest.post(f"/v1/messages/{received['id']}:ack", json={"receipt": received["receipt"]}).json() == {
            "ok": True
        }
        rest.post(f"/v1/queues/{name}/messages", json={"body": {"n": 1}, "attributes": {"b": "y"}})
        (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
        assert json.loads(message["Body"]) == {"n": 1}
        assert message["MessageAttributes"] == {"b": {"DataType": "String", "StringValue": "y"}}
        # A receipt is a receipt on every wire.
        number = int(message["MessageId"].replace("-", ""), 16) % 2**53
        assert rest.post(f"/v1/messages/{number}:ack", json={"receipt": message["ReceiptHandle"]}).status_code == 200


async def test_aiobotocore(server: ServerProcess):
    async with get_session().create_client("sqs", endpoint_url=server.url, config=None, **KEYS) as sqs:
        url = (await sqs.create_queue(QueueName=f"q-{uuid4().hex}"))["QueueUrl"]
        await sqs.send_message(QueueUrl=url, MessageBody="async")
        (message,) = (await sqs.receive_message(QueueUrl=url))["Messages"]
        assert message["Body"] == "async"
        await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_the_resource_interface(server: ServerProcess):
    sqs = boto3.resource("sqs", endpoint_url=server.url, **KEYS)
    queue = sqs.create_queue(QueueName=f"q-{uuid4().hex}")
    queue.send_message(MessageBody="hello")
    (message,) = queue.receive_messages()
    message.change_visibility(VisibilityTimeout=10)
    message.delete()
    assert queue.attributes["ApproximateNumberOfMessages"] == "0"


def test_a_port_of_its_own(tmp_path: Path):
    port = free_port()
    with serving("memory://", tmp_path, "--sqs-port", str(port), SQS_STRICT_TIMING="off"):
        sqs = client(f"http://127.0.0.1:{port}")
        url = new(sqs)
        assert url.startswith(f"http://127.0.0.1:{port}/")
        sqs.send_message(QueueUrl=url, MessageBody="x" * 500_000)
        assert len(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"]) == 500_000
        for _ in range(2):
            sqs.purge_queue(QueueUrl=url)
            sqs.delete_queue(QueueUrl=url)
            url = sqs.create_queue(QueueName=url.rpartition("/")[2])["QueueUrl"]
