"""Full cycles as each server speaks: enqueue, receive until all of as many have come, ack."""

import time
from collections.abc import Callable, Generator

import msgspec

from benchmarks.exchange import Answer, Flow, Request
from benchmarks.load import Load, Tally

Cycle = Callable[[Load, Tally], Generator[Request, list[Answer], None]]
PAYLOAD = b'{"task":"process-order","order":{"id":1234567,"amount":"1.50","items":[1,2,3]},"note":"as it is sent"}'
VISIBILITY_S = 60

_decoded = msgspec.json.Decoder().decode
_encoded = msgspec.json.Encoder().encode


class _Message(msgspec.Struct):
    id: int
    receipt: str


_messages = msgspec.json.Decoder(list[_Message]).decode


def rounds(cycle: Cycle, load: Load, tally: Tally) -> Flow:
    """Cycle after cycle until the end."""
    while (began_at := time.monotonic()) < load.ends_at:
        yield from cycle(load, tally)
        tally.cycle_done(began_at, load.batch)


def post(path: str, body: bytes, headers: str = "") -> Request:
    """An HTTP request, ready to be sent, that has one answer."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body, 1


def rest(load: Load, tally: Tally) -> Flow:
    """One message over sqslite's REST interface."""
    body = granted((yield _once(load.queue, "enqueue")))
    tally.enqueued.append(_decoded(body)["id"])
    while True:
        body = granted((yield _once(load.queue, "receive")))
        for message in _messages(body):
            proof = b'{"receipt":"%b"}' % message.receipt.encode()
            granted((yield post(f"/v1/messages/{message.id}:ack", proof)))
            tally.acked.append(message.id)
            return
        if tally.given_up():
            return


def rest_enqueue(load: Load, tally: Tally) -> Flow:
    """The enqueue alone."""
    body = granted((yield _once(load.queue, "enqueue")))
    tally.enqueued.append(_decoded(body)["id"])


def rest_batch(load: Load, tally: Tally) -> Flow:
    """As many messages as make a batch, in one call each."""
    body = granted((yield _once(load.queue, "enqueue_batch", load.batch)))
    tally.enqueued.extend(result["id"] for result in _decoded(body)["results"])
    missing = load.batch
    while missing:
        body = granted((yield _once(load.queue, "receive", missing)))
        messages = _messages(body)
        if messages:
            acks = {"acks": [{"receipt": message.receipt} for message in messages]}
            body = granted((yield post("/v1/messages:ack", _encoded(acks))))
            assert b'"error"' not in body, body
            tally.acked.extend(message.id for message in messages)
            missing -= len(messages)
        elif tally.given_up():
            return


def nothing(load: Load, tally: Tally) -> Flow:
    """The same calls, as many and as long, to a server that does nothing with them."""
    if load.batch == 1:
        calls = [("enqueue", 1), ("receive", 1), ("ack", 1)]
    else:
        calls = [("enqueue_batch", load.batch), ("receive", load.batch), ("ack_batch", load.batch)]
    for name, count in calls:
        granted((yield _once(load.queue, name, count)))


def beanstalk(load: Load, tally: Tally) -> Flow:
    """The beanstalk protocol; a batch is as many commands in one write."""
    put = b"put 0 0 %d %d\r\n%b\r\n" % (VISIBILITY_S, len(PAYLOAD), PAYLOAD)
    answers = yield put * load.batch, load.batch
    tally.enqueued.extend(_beanstalk_id(b"INSERTED", answer.body) for answer in answers)
    answers = yield b"reserve\r\n" * load.batch, load.batch
    ids = [_beanstalk_id(b"RESERVED", answer.body) for answer in answers]
    answers = yield b"".join(b"delete %d\r\n" % job for job in ids), load.batch
    assert all(answer.body == b"DELETED" for answer in answers), answers
    tally.acked.extend(ids)


_prepared: dict[tuple[str, str, int], Request] = {}


def _once(queue: str, name: str, count: int = 1) -> Request:
    """A request that is the same each time, put together the first time."""
    key = (queue, name, count)
    if (found := _prepared.get(key)) is None:
        found = _prepared[key] = _rest_request(queue, name, count)
    return found


def _rest_request(queue: str, name: str, count: int) -> Request:
    message = b'{"body":%b}' % PAYLOAD
    receipt = b'{"receipt":"%b"}' % (b"A" * 50)
    match name:
        case "enqueue":
            return post(f"/v1/queues/{queue}/messages", message)
        case "enqueue_batch":
            return post(f"/v1/queues/{queue}/messages:batch", b'{"messages":[%b]}' % b",".join([message] * count))
        case "receive":
            wanted = b'{"max":%d,"visibility_ms":%d}' % (count, VISIBILITY_S * 1_000)
            return post(f"/v1/queues/{queue}:receive", wanted)
        case "ack":
            return post("/v1/messages/1234567:ack", receipt)
        case "ack_batch":
            return post("/v1/messages:ack", b'{"acks":[%b]}' % b",".join([receipt] * count))
    raise ValueError(name)


def _beanstalk_id(word: bytes, line: bytes) -> int:
    assert line.startswith(word), line
    return int(line.split()[1])


def granted(answers: list[Answer]) -> bytes:
    """The body of the only answer."""
    ((status, body, _),) = answers
    if not 200 <= status < 300:
        raise RuntimeError(f"answered {status}: {body[:200]!r}")
    return body
