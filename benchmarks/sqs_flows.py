"""Full cycles over the SQS API, in either protocol: SendMessage, ReceiveMessage, DeleteMessage, or their batches."""

import re
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from typing import Protocol
from urllib.parse import quote
from uuid import UUID

import msgspec

from benchmarks.exchange import Answer, Flow, Request
from benchmarks.flows import PAYLOAD, VISIBILITY_S, granted, post
from benchmarks.load import Load, Tally

# What SQS takes and gives at most at a time.
SQS_BATCH_MAX = 10
ACCOUNT = "000000000000"
SIGNED = (
    "authorization: AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, "
    "Signature=0\r\n"
)

_Ids = Generator[Request, list[Answer], list[int]]
_Messages = Generator[Request, list[Answer], list[tuple[int, str]]]
_Done = Generator[Request, list[Answer], None]

_decoded = msgspec.json.Decoder().decode
_encoded = msgspec.json.Encoder().encode


class _Wire(Protocol):
    """The calls of a cycle in one protocol; `count` 1 is a call without a batch."""

    def send(self, queue: str, count: int) -> _Ids: ...

    def receive(self, queue: str, count: int) -> _Messages: ...

    def delete(self, queue: str, handles: Sequence[str]) -> _Done: ...


class _Json:
    """AWS's JSON 1.0."""

    def send(self, queue: str, count: int) -> _Ids:
        sent = _decoded(granted((yield _json_send(queue, count))))
        return [UUID(each["MessageId"]).int for each in ([sent] if count == 1 else sent["Successful"])]

    def receive(self, queue: str, count: int) -> _Messages:
        received = _decoded(granted((yield _json_receive(queue, count))))
        return [(UUID(each["MessageId"]).int, each["ReceiptHandle"]) for each in received.get("Messages", [])]

    def delete(self, queue: str, handles: Sequence[str]) -> _Done:
        if len(handles) == 1:
            granted((yield _json("DeleteMessage", QueueUrl=_url(queue), ReceiptHandle=handles[0])))
            return
        entries = [{"Id": str(place), "ReceiptHandle": handle} for place, handle in enumerate(handles)]
        deleted = granted((yield _json("DeleteMessageBatch", QueueUrl=_url(queue), Entries=entries)))
        assert b'"Code"' not in deleted, deleted


class _Query:
    """The Query protocol: forms at the queue's URL, and XML, of which no more is read than is needed."""

    _ID = re.compile(rb"<MessageId>([^<]+)</MessageId>")
    _HANDLE = re.compile(rb"<ReceiptHandle>([^<]+)</ReceiptHandle>")

    def send(self, queue: str, count: int) -> _Ids:
        answer = granted((yield _query_send(queue, count)))
        return [UUID(found.decode()).int for found in self._ID.findall(answer)]

    def receive(self, queue: str, count: int) -> _Messages:
        answer = granted((yield _query_receive(queue, count)))
        pairs = zip(self._ID.findall(answer), self._HANDLE.findall(answer), strict=True)
        return [(UUID(found.decode()).int, handle.decode()) for found, handle in pairs]

    def delete(self, queue: str, handles: Sequence[str]) -> _Done:
        if len(handles) == 1:
            granted((yield _query(queue, f"Action=DeleteMessage&ReceiptHandle={quote(handles[0])}")))
            return
        entry = "DeleteMessageBatchRequestEntry.{0}.Id={0}&DeleteMessageBatchRequestEntry.{0}.ReceiptHandle={1}"
        entries = [entry.format(number, quote(handle)) for number, handle in enumerate(handles, 1)]
        answer = granted((yield _query(queue, "&".join(["Action=DeleteMessageBatch", *entries]))))
        assert b"<BatchResultErrorEntry>" not in answer, answer


def sqs_json(load: Load, tally: Tally) -> Flow:
    """A cycle in JSON, in tens."""
    return _cycle(_Json(), load, tally)


def sqs_query(load: Load, tally: Tally) -> Flow:
    """A cycle in the Query protocol, in tens."""
    return _cycle(_Query(), load, tally)


def send_json(load: Load, tally: Tally) -> Flow:
    """SendMessage alone, in JSON."""
    tally.enqueued += yield from _Json().send(load.queue, 1)


def send_query(load: Load, tally: Tally) -> Flow:
    """SendMessage alone, in the Query protocol."""
    tally.enqueued += yield from _Query().send(load.queue, 1)


def create_queue(queue: str) -> bytes:
    """The request that makes a queue, for a server where none comes into being by itself."""
    return _json("CreateQueue", QueueName=queue, Attributes={"VisibilityTimeout": str(VISIBILITY_S)})[0]


def _cycle(wire: _Wire, load: Load, tally: Tally) -> Flow:
    for some in _tens(load.batch):
        tally.enqueued += yield from wire.send(load.queue, some)
    missing = load.batch
    while missing:
        messages = yield from wire.receive(load.queue, min(missing, SQS_BATCH_MAX))
        if messages:
            yield from wire.delete(load.queue, [handle for _, handle in messages])
        elif tally.given_up():
            return
        tally.acked.extend(message_id for message_id, _ in messages)
        missing -= len(messages)


def _url(queue: str) -> str:
    return f"http://localhost/{ACCOUNT}/{queue}"


@cache
def _json_send(queue: str, count: int) -> Request:
    if count == 1:
        return _json("SendMessage", QueueUrl=_url(queue), MessageBody=PAYLOAD.decode())
    entries = [{"Id": str(place), "MessageBody": PAYLOAD.decode()} for place in range(count)]
    return _json("SendMessageBatch", QueueUrl=_url(queue), Entries=entries)


@cache
def _json_receive(queue: str, count: int) -> Request:
    return _json("ReceiveMessage", QueueUrl=_url(queue), MaxNumberOfMessages=count)


def _json(action: str, **asked: object) -> Request:
    headers = f"x-amz-target: AmazonSQS.{action}\r\ncontent-type: application/x-amz-json-1.0\r\n{SIGNED}"
    return post("/", _encoded(asked), headers)


@cache
def _query_send(queue: str, count: int) -> Request:
    body = quote(PAYLOAD)
    if count == 1:
        return _query(queue, f"Action=SendMessage&MessageBody={body}")
    entry = "SendMessageBatchRequestEntry.{0}.Id={0}&SendMessageBatchRequestEntry.{0}.MessageBody={1}"
    return _query(queue, "&".join(["Action=SendMessageBatch", *[entry.format(n, body) for n in range(1, count + 1)]]))


@cache
def _query_receive(queue: str, count: int) -> Request:
    return _query(queue, f"Action=ReceiveMessage&MaxNumberOfMessages={count}")


def _query(queue: str, form: str) -> Request:
    headers = f"content-type: application/x-www-form-urlencoded\r\n{SIGNED}"
    return post(f"/{ACCOUNT}/{queue}", f"{form}&Version=2012-11-05".encode(), headers)


def _tens(count: int) -> Iterator[int]:
    while count > 0:
        yield min(count, SQS_BATCH_MAX)
        count -= SQS_BATCH_MAX
