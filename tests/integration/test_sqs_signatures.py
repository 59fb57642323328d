"""Signed calls of boto3 against a real server that has keys, and calls that it refuses."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import boto3
import httpx
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.integration.server_process import ServerProcess, serving

KEYS = "AKIAORDERS:secret1:orders-* AKIAADMIN:secret2"
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving("memory://", tmp_path_factory.mktemp("signed"), SQS_ACCESS_KEYS=KEYS) as running:
        yield running


def client(server: ServerProcess, key: str, secret: str) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=server.url,
        region_name="eu-west-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=ONCE,
    )


def refusal(call: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_who_signs_with_a_key_uses_the_queues_of_its_patterns(server):
    orders, admin = client(server, "AKIAORDERS", "secret1"), client(server, "AKIAADMIN", "secret2")
    url = orders.create_queue(QueueName="orders-eu")["QueueUrl"]
    admin.create_queue(QueueName="payroll")
    orders.send_message(QueueUrl=url, MessageBody="pâté & 東京")
    assert [message["Body"] for message in admin.receive_message(QueueUrl=url)["Messages"]] == ["pâté & 東京"]
    assert [each.rpartition("/")[2] for each in orders.list_queues()["QueueUrls"]] == ["orders-eu"]
    assert len(admin.list_queues()["QueueUrls"]) == 2
    for call, parameters in (
        (orders.create_queue, {"QueueName": "payroll"}),
        (orders.get_queue_url, {"QueueName": "payroll"}),
        (orders.send_message, {"QueueUrl": url.replace("orders-eu", "payroll"), "MessageBody": "x"}),
        (orders.purge_queue, {"QueueUrl": url.replace("orders-eu", "payroll")}),
        (orders.delete_queue, {"QueueUrl": url.replace("orders-eu", "payroll")}),
        (orders.list_queue_tags, {"QueueUrl": url.replace("orders-eu", "payroll")}),
    ):
        assert refusal(call, **parameters)[0] == "AccessDenied", call


def test_a_wrong_secret_and_an_unknown_key_have_their_own_errors(server):
    assert refusal(client(server, "AKIAADMIN", "wrong").list_queues) == ("SignatureDoesNotMatch", 403)
    assert refusal(client(server, "AKIANOBODY", "secret2").list_queues) == ("InvalidClientTokenId", 403)


def test_who_does_not_sign_is_refused(server):
    answer = httpx.post(server.url, data={"Action": "ListQueues"})
    assert answer.status_code == 403
    assert "<Code>MissingAuthenticationToken</Code>" in answer.text


def test_a_presigned_request_is_taken_as_it_was_signed_and_no_other(server):
    client(server, "AKIAADMIN", "secret2").create_queue(QueueName="presigned")
    query = urlencode({"Action": "SendMessage", "MessageBody": "hello"})
    request = AWSRequest("GET", f"{server.url}/000000000000/presigned?{query}")
    SigV4QueryAuth(Credentials("AKIAADMIN", "secret2"), "sqs", "eu-west-1", expires=60).add_auth(request)
    url = request.prepare().url
    assert "<MD5OfMessageBody>" in httpx.get(url).text
    changed = httpx.get(url.replace("MessageBody=hello", "MessageBody=other"))
    assert (changed.status_code, "<Code>SignatureDoesNotMatch</Code>" in changed.text) == (403, True)


def test_the_other_interfaces_ask_for_no_key(server):
    assert httpx.post(f"{server.url}/v1/queues/orders-eu/messages", json={"body": 1}).status_code == 201
