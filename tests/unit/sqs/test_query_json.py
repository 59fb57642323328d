"""The Query protocol answers in JSON where the client accepts nothing better."""

import httpx
import pytest

from tests.unit.sqs.api import ACCOUNT, ARN, Sqs, sqs_api

JSON = {"accept": "application/json"}


@pytest.fixture
async def api():
    async with sqs_api("query") as sqs:
        yield sqs


async def get(api: Sqs, path: str, action: str, **fields: str) -> tuple[int, dict]:
    answer: httpx.Response = await api.http.get(path, params={"Action": action, **fields}, headers=JSON)
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    told_id = told["RequestId"] if "Error" in told else told[f"{action}Response"]["ResponseMetadata"]["RequestId"]
    assert answer.headers["x-amzn-requestid"] == told_id
    return answer.status_code, told["Error"] if "Error" in told else told[f"{action}Response"]


async def test_answers(api: Sqs):
    url = await api.create(DelaySeconds="0")
    assert (await get(api, "/", "ListQueues"))[1]["ListQueuesResult"] == {"queueUrls": [url]}
    assert (await get(api, "/", "GetQueueUrl", QueueName="orders"))[1]["GetQueueUrlResult"] == {"QueueUrl": url}
    _, told = await get(api, url, "GetQueueAttributes", **{"AttributeName.1": "QueueArn", "AttributeName.2": "Policy"})
    assert told["GetQueueAttributesResult"] == {"Attributes": [{"Name": "QueueArn", "Value": f"{ARN}orders"}]}
    assert (await get(api, url, "ListDeadLetterSourceQueues"))[1]["ListDeadLetterSourceQueuesResult"] == {
        "queueUrls": []
    }


async def test_answers_about_messages_and_tags(api: Sqs):
    url = await api.create()
    sent = (
        await get(
            api,
            url,
            "SendMessage",
            MessageBody="<é>",
            **{
                "MessageAttribute.1.Name": "n",
                "MessageAttribute.1.Value.DataType": "Number",
                "MessageAttribute.1.Value.StringValue": "1",
            },
        )
    )[1]["SendMessageResult"]
    assert (sent.pop("MD5OfMessageSystemAttributes"), sent.pop("SequenceNumber")) == (None, None)
    assert set(sent) == {"MessageId", "MD5OfMessageBody", "MD5OfMessageAttributes"}
    received = (
        await get(api, url, "ReceiveMessage", **{"AttributeName.1": "SenderId", "MessageAttributeName.1": "All"})
    )[1]["ReceiveMessageResult"]
    (message,) = received["messages"]
    assert message["Body"] == "<é>"
    assert message["Attributes"] == [{"Name": "SenderId", "Value": ACCOUNT}]
    assert message["MessageAttributes"] == [{"Name": "n", "Value": {"StringValue": "1", "DataType": "Number"}}]
    assert (await get(api, url, "ReceiveMessage"))[1]["ReceiveMessageResult"] == {"messages": None}
    entry = {"DeleteMessageBatchRequestEntry.1.Id": "a"}
    entry["DeleteMessageBatchRequestEntry.1.ReceiptHandle"] = message["ReceiptHandle"]
    _, told = await get(api, url, "DeleteMessageBatch", **entry)
    assert told["DeleteMessageBatchResult"] == {"Successful": [{"Id": "a"}]}
    assert set((await get(api, url, "TagQueue", **{"Tag.1.Key": "k", "Tag.1.Value": "v"}))[1]) == {"ResponseMetadata"}
    _, told = await get(api, url, "ListQueueTags")
    assert told["ListQueueTagsResult"] == {"Tags": [{"Key": "k", "Value": "v"}]}


async def test_refusals(api: Sqs):
    url = await api.create()
    assert await get(api, url, "ListQueues") == (
        400,
        {
            "Code": "InvalidAction",
            "Message": "The action ListQueues is not valid for this endpoint.",
            "Type": "Sender",
        },
    )
    assert await get(api, "/", "GetQueueUrl", QueueName="nowhere") == (
        400,
        {
            "Code": "AWS.SimpleQueueService.NonExistentQueue",
            "Message": "The specified queue does not exist for this wsdl version.",
            "Type": "Sender",
        },
    )


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/json", "application/json"),
        ("application/json, */*", "application/json"),
        ("application/json;q=0.9", "application/json"),
        ("*/*", "text/xml"),
        ("text/xml, application/json", "text/xml"),
        ("application/jsonp", "text/xml"),
        ("", "text/xml"),
    ],
)
async def test_what_comes_first_in_accept_counts(api: Sqs, accept: str, content_type: str):
    answer = await api.http.get("/", params={"Action": "ListQueues"}, headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)


async def test_accept_means_nothing_to_the_json_protocol(api: Sqs):
    headers = {"x-amz-target": "AmazonSQS.ListQueues", "accept": "application/json"}
    answer = await api.http.post("/", headers=headers, content=b"{}")
    assert (answer.headers["content-type"], answer.content) == ("application/x-amz-json-1.0", b"{}")


@pytest.mark.parametrize("form", ["Tag.1.{}", "Tags.1.{}", "Tag.{}", "Tags.{}"])
async def test_maps_are_found_by_their_members_name_too(api: Sqs, form: str):
    url = await api.create()
    await get(api, url, "TagQueue", **{form.format("Key"): "k", form.format("Value"): "v"})
    assert await api("ListQueueTags", QueueUrl=url) == {"Tags": {"k": "v"}}
