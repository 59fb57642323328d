"""The application as a whole: which requests are its own, and that nothing a client sends is answered with a 5xx."""

import json
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqslite.domain.errors import OutcomeUnknown, Overloaded, StoreUnavailable
from sqslite.entrypoints.sqs import query_protocol
from sqslite.entrypoints.sqs.access_keys import AccessKeys
from sqslite.entrypoints.sqs.actions import ACTIONS
from sqslite.entrypoints.sqs.front import is_sqs
from sqslite.entrypoints.sqs.signature import verify
from tests.unit.sqs.api import ACCOUNT, ARN, HOST, Refused, Sqs, sqs_api
from tests.unit.sqs.query_model import JSON_MODEL

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/x-amz-json-1.0"}


def target(action: str) -> dict[str, str]:
    return {"x-amz-target": f"AmazonSQS.{action}", **JSON}


async def get(sqs: Sqs, path: str, **fields: str) -> httpx.Response:
    return await sqs.http.get(path, params=fields)


def xml(answer: httpx.Response) -> dict[str, str]:
    assert answer.headers["content-type"] == "text/xml"
    return {
        element.tag.rpartition("}")[2]: element.text or "" for element in ElementTree.fromstring(answer.content).iter()
    }


@pytest.fixture
async def api():
    async with sqs_api("query") as sqs:
        yield sqs


def test_every_action_of_botocores_model_is_there():
    assert set(ACTIONS) == set(JSON_MODEL.operation_names)
    assert len(ACTIONS) == 23
    for name, action in ACTIONS.items():
        operation = JSON_MODEL.operation_model(name)
        assert action.answers == (operation.output_shape is not None), name
        assert set(action.asked.__struct_encode_fields__) == set(operation.input_shape.members), name


# The Query protocol as browsers and old clients speak it


async def test_a_queue_is_used_by_get_at_its_url(api: Sqs):
    url = await api.create()
    assert xml(await get(api, url, Action="SendMessage", MessageBody="foobar"))["MD5OfMessageBody"]
    answer = await get(api, url, Action="ReceiveMessage")
    assert "<Body>foobar</Body>" in answer.text
    assert "<ReceiveMessageResult/>" in (await get(api, url, Action="ReceiveMessage")).text
    answer = await get(api, url, Action="GetQueueAttributes", **{"AttributeName.1": "QueueArn"})
    assert f"<Attribute><Name>QueueArn</Name><Value>{ARN}orders</Value></Attribute>" in answer.text
    answer = await api.http.post(url, params={"Action": "DeleteQueue"})
    assert answer.text.startswith('<?xml version="1.0"?><DeleteQueueResponse xmlns=')
    answer = await get(api, url, Action="ReceiveMessage")
    assert (answer.status_code, xml(answer)["Code"]) == (400, "AWS.SimpleQueueService.NonExistentQueue")
    assert xml(answer)["Message"] == "The specified queue does not exist for this wsdl version."


async def test_a_url_in_the_parameters_wins_over_that_of_the_request(api: Sqs):
    one, two = await api.create("one"), await api.create("two")
    answer = await get(api, one, Action="GetQueueAttributes", QueueUrl=two, **{"AttributeName.1": "QueueArn"})
    assert f"{ARN}two" in answer.text
    assert xml(await get(api, one, Action="GetQueueUrl", QueueName="two"))["QueueUrl"] == two


@pytest.mark.parametrize("action", ["CreateQueue", "ListQueues", "StartMessageMoveTask", "FooBar"])
async def test_an_action_that_is_not_a_queues_is_not_valid_at_its_url(api: Sqs, action: str):
    answer = await get(api, await api.create(), Action=action, QueueName="new")
    told = xml(answer)
    assert (answer.status_code, told["Code"], told["Type"]) == (400, "InvalidAction", "Sender")
    assert told["Message"] == f"The action {action} is not valid for this endpoint."
    assert "<Detail/>" in answer.text


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"])
async def test_only_get_and_post_do_anything(api: Sqs, method: str):
    url = await api.create()
    await api.send(url)
    for action in ("ReceiveMessage", "DeleteQueue"):
        answer = await api.http.request(method, url, params={"Action": action})
        assert answer.status_code == 404
        assert answer.content in (query_protocol.NO_ACTION, b"")
    answer = await api.http.request(method, url, headers=target("DeleteQueue"), content=b"{}")
    assert answer.status_code == 404
    assert await api.counts(url) == (1, 0, 0)


async def test_json_comes_by_post_only(api: Sqs):
    url = await api.create()
    answer = await api.http.request("GET", url, headers=target("DeleteQueue"), content=b"{}")
    assert (answer.status_code, answer.content) == (404, query_protocol.NO_ACTION)
    assert await api.counts(url) == (0, 0, 0)


async def test_text_may_stand_in_a_form_as_it_is(api: Sqs):
    url = await api.create()
    await api.http.post(url, headers=FORM, content="Action=SendMessage&MessageBody=é😀=+%2B".encode())
    assert await api.bodies(url) == ["é😀= +"]


@pytest.mark.parametrize("headers", [{}, {"accept": "application/json"}])
async def test_no_action_at_all_is_an_unknown_operation(api: Sqs, headers: dict):
    for answer in (await api.http.get(await api.create(), headers=headers), await api.http.post("/", headers=headers)):
        assert (answer.status_code, answer.content) == (404, query_protocol.NO_ACTION)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_than_get_and_post_do_nothing(api: Sqs, method: str):
    url = await api.create()
    for headers, query in ((target("DeleteQueue"), ""), ({}, "?Action=DeleteQueue")):
        answer = await api.http.request(method, f"{url}{query}", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/xml")
    assert (await api("ListQueues"))["QueueUrls"] == [url]


async def test_an_action_without_its_parameters(api: Sqs):
    told = xml(await get(api, await api.create(), Action="SendMessage"))
    assert (told["Code"], told["Message"]) == (
        "MissingParameter",
        "The request must contain the parameter MessageBody.",
    )


async def test_every_answer_has_a_request_id_of_its_own(api: Sqs):
    url = await api.create()
    answers = [await get(api, url, Action=action) for action in ("GetQueueAttributes", "GetQueueAttributes", "FooBar")]
    ids = [xml(answer)["RequestId"] for answer in answers]
    assert [answer.headers["x-amzn-requestid"] for answer in answers] == ids
    assert len(set(ids)) == 3


# JSON


async def test_an_unknown_target(api: Sqs):
    answer = await api.http.post("/", headers=target("FooBar"), content=b"{}")
    assert answer.status_code == 400
    assert answer.json() == {
        "__type": "com.amazon.coral.service#UnknownOperationException",
        "message": "The action FooBar is not valid for this endpoint.",
    }
    assert answer.headers["x-amzn-query-error"] == "InvalidAction;Sender"


@pytest.mark.parametrize("content_type", ["application/x-amz-json-1.0", "application/x-amz-json-1.1; charset=utf-8"])
@pytest.mark.parametrize("path", ["/", f"/{ACCOUNT}/orders"])
async def test_json_without_a_target_is_refused_in_json(api: Sqs, content_type: str, path: str):
    answer = await api.http.post(path, headers={"content-type": content_type}, content=b"{}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/x-amz-json-1.0")
    assert answer.json() == {
        "__type": "com.amazon.coral.service#UnknownOperationException",
        "message": "The action  is not valid for this endpoint.",
    }
    assert answer.headers["x-amzn-query-error"] == "InvalidAction;Sender"


async def test_json_at_a_queues_url(api: Sqs):
    url = await api.create()
    answer = await api.http.post(url, headers=target("SendMessage"), json={"MessageBody": "x"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert await api.bodies(url) == ["x"]
    answer = await api.http.post(url, headers=target("ListQueues"), json={})
    assert answer.json() == {"QueueUrls": [url]}


async def test_both_halves_of_an_error(api: Sqs):
    answer = await api.http.post("/", headers=target("GetQueueUrl"), json={"QueueName": "nowhere"})
    assert answer.json() == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }
    assert answer.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"


async def test_an_answer_without_a_result_is_an_empty_object(api: Sqs):
    answer = await api.http.post("/", headers=target("PurgeQueue"), json={"QueueUrl": await api.create()})
    assert answer.content == b"{}"


# Addresses


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"host": "local-test-host:12345"}, "http://local-test-host:12345"),
        ({"host": "sqs.eu-west-1.localhost:4566"}, "http://sqs.eu-west-1.localhost:4566"),
        ({"host": "[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "queue.example", "x-forwarded-proto": "https"}, "https://queue.example"),
        ({"host": "<script>"}, "http://localhost"),
    ],
)
async def test_urls_are_at_the_address_that_the_client_used(api: Sqs, headers: dict, base: str):
    await api.create()
    answer = await api.http.post("/", headers={**FORM, **headers}, content=b"Action=GetQueueUrl&QueueName=orders")
    assert xml(answer)["QueueUrl"] == f"{base}/{ACCOUNT}/orders"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/sqs/aws4_request, Signature=y"}, ""),
        ({}, "?X-Amz-Credential=x%2F20260101%2Feu-west-1%2Fsqs%2Faws4_request"),
    ],
)
async def test_arns_are_in_the_region_that_the_client_signed_for(api: Sqs, headers: dict, query: str):
    url = await api.create()
    body = urlencode({"Action": "GetQueueAttributes", "QueueUrl": url, "AttributeName.1": "QueueArn"})
    answer = await api.http.post(f"/{query}", headers={**FORM, **headers}, content=body)
    assert xml(answer)["Value"] == f"arn:aws:sqs:eu-west-1:{ACCOUNT}:orders"


@pytest.mark.parametrize(
    ("host", "path", "region"),
    [
        ("sqs.eu-west-1.localhost:4566", "/", "eu-west-1"),
        ("eu-west-1.queue.localhost:4566", "/", "eu-west-1"),
        ("sqs.us-gov-west-1.amazonaws.com", "/", "us-gov-west-1"),
        ("localhost:4566", f"/queue/eu-west-1/{ACCOUNT}/orders", "eu-west-1"),
        ("queue.localhost:4566", "/", "us-east-1"),
        ("sqs.internal.example", "/", "us-east-1"),
        ("sqs.localhost", "/", "us-east-1"),
        ("eu-west-1.example", "/", "us-east-1"),
        ("localhost", f"/queue/internal/{ACCOUNT}/orders", "us-east-1"),
        ("localhost", f"/{ACCOUNT}/orders", "us-east-1"),
    ],
)
async def test_arns_of_those_who_do_not_sign_are_in_the_region_of_the_address(
    api: Sqs, host: str, path: str, region: str
):
    await api.create()
    body = urlencode({"Action": "GetQueueAttributes", "QueueUrl": "orders", "AttributeName.1": "QueueArn"})
    answer = await api.http.post(path, headers={**FORM, "host": host}, content=body)
    assert xml(answer)["Value"].split(":")[3] == region
    signed = "AWS4-HMAC-SHA256 Credential=x/20260101/ap-south-1/sqs/aws4_request"
    answer = await api.http.post(path, headers={**FORM, "host": host, "authorization": signed}, content=body)
    assert xml(answer)["Value"].split(":")[3] == "ap-south-1"


# Signatures


async def test_who_may_call_is_asked_and_may_use_its_queues_only():
    keys = AccessKeys.parse("mine:secret:orders,o*")
    now = datetime.now(UTC)

    def authorize(request):
        # How signatures are verified has tests of its own; here the id alone is enough.
        if "authorization" not in dict(request.headers):
            return verify(request, keys, now)
        return keys.by_id["mine"]

    async with sqs_api("query", authorize=authorize) as sqs:
        with sqs.refuses("MissingAuthenticationToken", status=403):
            await sqs.create()
        sqs.http.headers["authorization"] = "yes"
        url = await sqs.create()
        await sqs.own.create("theirs", dlq="orders")
        await sqs.own.create("ours", dlq="orders")
        sources = await sqs("ListDeadLetterSourceQueues", QueueUrl=url)
        assert sources == {"queueUrls": [url.replace("orders", "ours")]}
        await sqs("DeleteQueue", QueueUrl="ours")
        redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": f"{ARN}theirs", "maxReceiveCount": 1})}
        assert await sqs("ListQueues") == {"QueueUrls": [url]}
        for action, fields in (
            ("SendMessage", {"QueueUrl": "theirs", "MessageBody": "x"}),
            ("CreateQueue", {"QueueName": "theirs"}),
            ("CreateQueue", {"QueueName": "ones", "Attributes": redrive}),
            ("SetQueueAttributes", {"QueueUrl": url, "Attributes": redrive}),
            ("StartMessageMoveTask", {"SourceArn": f"{ARN}orders", "DestinationArn": f"{ARN}theirs"}),
            ("GetQueueUrl", {"QueueName": "theirs"}),
            ("DeleteQueue", {"QueueUrl": "theirs"}),
            ("ListMessageMoveTasks", {"SourceArn": f"{ARN}theirs"}),
        ):
            with sqs.refuses("AccessDenied", status=403):
                await sqs(action, **fields)


# What is told to metrics


async def test_metrics_are_told_the_action(api: Sqs):
    await api.create()
    await get(api, "/", Action="FooBar")
    await get(api, "/1/q")
    assert api.answered == [
        ("POST", "sqs:CreateQueue", 200),
        ("GET", "sqs:(unknown)", 400),
        ("GET", "sqs:(unknown)", 404),
    ]


# When the storage is at fault


@pytest.mark.parametrize("error", [StoreUnavailable("down"), Overloaded("busy"), OutcomeUnknown("lost")])
@pytest.mark.parametrize("protocol", ["json", "query"])
async def test_a_storage_at_fault_is_the_services(protocol: str, error: Exception):
    async with sqs_api(protocol) as sqs:
        url = await sqs.create()
        sqs.own.service._store = Failing(error)
        for action, fields in (("SendMessage", {"MessageBody": "x"}), ("ReceiveMessage", {})):
            with pytest.raises(Refused) as refusal:
                await sqs(action, QueueUrl=url, **fields)
            assert (refusal.value.status, refusal.value.code) == (503, "ServiceUnavailable")
            assert refusal.value.error["Type"] == "Receiver"


class Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str):
        async def fail(*_: object) -> None:
            raise self._error

        return fail


async def test_a_defect_is_told_as_one_and_tells_nothing_else(api: Sqs):
    url = await api.create()
    api.own.service._store = Failing(ZeroDivisionError("secret"))
    answer = await get(api, url, Action="ReceiveMessage")
    assert (answer.status_code, xml(answer)["Code"]) == (500, "InternalFailure")
    assert "secret" not in answer.text


# Hostile requests


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b"{}"),
        ({"content-type": "application/json"}, b'{"Action": "ListQueues"}'),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x"),
        ({"content-type": ""}, b"\xff\xfe"),
        (FORM, b"Action=%ff"),
        (FORM, b"Action=ListQueues&MaxResults=" + b"9" * 10_000),
        (FORM, b"Action=ReceiveMessage&QueueUrl=q&AttributeName.99999999999=All&AttributeName.-1=x"),
        (FORM, b"Action=SendMessage&" + b".".join([b"1"] * 100_000) + b"=x"),
        (FORM, b"&".join(b"x.%d=1" % n for n in range(100_000))),
        (target("SendMessage"), b"[" * 1_000_000),
        (target("SendMessage"), b'{"QueueUrl":"q","MessageBody":"\\ud800"}'),
        (target("SendMessage"), b"Action=SendMessage"),
        (target("ListQueues"), b'{"MaxResults": 1e400}'),
        (target(""), b""),
        ({"x-amz-target": "DynamoDB.ListTables"}, b"{}"),
        ({**target("ListQueues"), "content-encoding": "gzip"}, b"\x1f\x8b"),
    ],
)
async def test_hostile_requests_are_refused(api: Sqs, headers: dict, body: bytes):
    answer = await api.http.post("/", headers=headers, content=body)
    assert 400 <= answer.status_code < 500


VALUES = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.sampled_from(["orders", f"{HOST}/{ACCOUNT}/orders", f"{ARN}orders", "All", "true", "AQAA", "1", ""]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(ACTIONS)), st.data())
async def test_no_parameters_make_a_5xx(action: str, data: st.DataObject):
    members = st.sampled_from(ACTIONS[action].asked.__struct_encode_fields__)
    lists = st.lists(
        st.one_of(VALUES, st.dictionaries(st.sampled_from(["Id", "MessageBody", "ReceiptHandle"]), VALUES))
    )
    maps = st.dictionaries(st.sampled_from(["DelaySeconds", "Policy", "RedrivePolicy", "AWSTraceHeader"]), VALUES)
    parameters = data.draw(st.dictionaries(members, st.one_of(VALUES, lists, maps)))
    parameters.pop("WaitTimeSeconds", None)
    async with sqs_api("json") as sqs:
        await sqs.create()
        answer = await sqs.http.post("/", headers=target(action), content=json.dumps(parameters).encode())
        assert answer.status_code < 500, answer.text
        flat = {name: str(value) for name, value in parameters.items() if isinstance(value, str | int)}
        answer = await sqs.http.post("/", headers=FORM, content=urlencode({**flat, "Action": action}, errors="replace"))
        assert answer.status_code < 500, answer.text


# The front


def request(method: str = "POST", path: str = "/", query: bytes = b"", **headers: str) -> dict:
    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "query_string": query, "headers": listed}


@pytest.mark.parametrize(
    "scope",
    [
        request(),
        request("GET", query=b"Action=ListQueues&Version=2012-11-05"),
        request(path=f"/{ACCOUNT}/orders"),
        request("GET", path=f"/{ACCOUNT}/orders.fifo"),
        request(path="/queue/orders"),
        request(path="/queue/us-east-1/000000000000/orders"),
        request(path="/anything", x_amz_target="AmazonSQS.SendMessage"),
    ],
)
def test_requests_of_the_sqs_api(scope: dict):
    assert is_sqs(scope)


@pytest.mark.parametrize(
    "scope",
    [
        request("GET"),
        request("GET", "/healthz"),
        request("GET", "/metrics", b"Action=x"),
        request(path="/v1/queues/orders/messages", content_type="application/x-www-form-urlencoded"),
        request(path="/v1/queues/orders:receive", query=b"Action=x"),
        request(path="/v1/messages/1:ack", x_amz_target="AmazonSQS.SendMessage"),
        request("GET", "/schema"),
        request(path="/nothing/here"),
        {"type": "lifespan"},
    ],
)
def test_requests_of_others(scope: dict):
    assert not is_sqs(scope)
