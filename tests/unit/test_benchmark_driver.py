"""What the benchmarks' figures rest on: answers are read whole, every message is accounted for, cycles are counted."""

import json
import time
from uuid import UUID

import pytest

from benchmarks.comparison import balance
from benchmarks.driver import FLOWS
from benchmarks.exchange import Answer, Flow, beanstalk_answer, http_answer
from benchmarks.flows import rounds
from benchmarks.load import Load, Tally

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


def test_an_http_answer_is_read_once_it_is_complete() -> None:
    assert all(http_answer(OK[:size], 0) is None for size in range(len(OK)))
    assert http_answer(OK, 0) == (Answer(200, b"hello"), len(OK))
    assert http_answer(OK + OK, len(OK)) == (Answer(200, b"hello"), 2 * len(OK))


def test_an_http_answer_tells_that_it_is_the_last_of_its_connection() -> None:
    answer, _ = http_answer(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 0) or pytest.fail("not read")
    assert answer.last


def test_an_http_answer_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="without content-length"):
        http_answer(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n", 0)


def test_a_beanstalk_answer_ends_after_the_job() -> None:
    reserved = b"RESERVED 7 6\r\na\r\nbcd\r\n"
    assert all(beanstalk_answer(reserved[:size], 0) is None for size in range(len(reserved)))
    assert beanstalk_answer(b"INSERTED 7\r\n" + reserved, 12) == (Answer(0, b"RESERVED 7 6"), 12 + len(reserved))


@pytest.mark.parametrize(
    ("enqueued", "acked", "told"),
    [
        ([1, 2, 3], [3, 1, 2], "0, 0 of 3"),
        ([1, 2, 3], [3, 1], "1, 0 of 3"),
        ([1, 2, 3], [3, 1, 2, 1], "0, 1 of 3"),
        ([1, 2], [1, 3], "1, 1 of 2"),
    ],
)
def test_what_was_lost_or_doubled_is_told(enqueued: list[int], acked: list[int], told: str) -> None:
    assert balance(Tally(0, 0, enqueued=[*enqueued], acked=[*acked])) == told


@pytest.mark.parametrize("batch", [1, 3])
def test_a_cycle_receives_until_all_that_it_enqueued_have_come(batch: int) -> None:
    tally, flow = started("rest", batch)
    ids = list(range(1, batch + 1))
    said = b'{"id":1}' if batch == 1 else json.dumps({"results": [{"id": number} for number in ids]}).encode()
    asked = [next(flow)[0], send(flow, 201, said), send(flow, 200, b"[]")]
    if batch > 1:
        asked.append(send(flow, 200, received(ids[:1])))
        asked.append(send(flow, 200, b'{"results":[{"ok":true}]}'))
        assert b'{"max":2,' in asked[-1]
    asked.append(send(flow, 200, received(ids if batch == 1 else ids[1:])))
    assert asked[-1].endswith(f'"receipt-{batch}"}}'.encode() + (b"]}" if batch > 1 else b""))
    assert tally.messages == 0
    with pytest.raises(StopIteration):
        send(flow, 200, b'{"results":[{"ok":true},{"ok":true}]}')
    assert (tally.messages, tally.empty_receives, len(tally.latencies_ms)) == (batch, 1, 1)
    assert balance(tally) == f"0, 0 of {batch}"


@pytest.mark.parametrize("flow", ["sqs", "sqs-query"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_cycle_over_sqs_deletes_what_it_received(flow: str, batch: int) -> None:
    tally, cycle = started(flow, batch)
    ids = [str(UUID(int=number)) for number in range(1, batch + 1)]
    handles = [f"handle-{number}" for number in range(1, batch + 1)]
    asked = [next(cycle)[0], send(cycle, 200, sqs_sent(flow, ids))]
    asked.append(send(cycle, 200, sqs_received(flow, list(zip(ids, handles, strict=True)))))
    assert b"SendMessage" in asked[0]
    assert b"ReceiveMessage" in asked[1]
    assert b"DeleteMessage" in asked[2]
    assert all(handle.encode() in asked[2] for handle in handles)
    with pytest.raises(StopIteration):
        send(cycle, 200, b"{}")
    assert (tally.messages, balance(tally)) == (batch, f"0, 0 of {batch}")


def test_an_error_ends_a_flow() -> None:
    _, flow = started("rest", 1)
    next(flow)
    with pytest.raises(RuntimeError, match="answered 503"):
        send(flow, 503, b"busy")


def test_cycles_that_end_after_the_time_are_not_counted() -> None:
    now = time.monotonic()
    tally = Tally(now - 2, now - 1)
    tally.cycle_done(now - 1.5, 1)
    assert (tally.messages, tally.latencies_ms) == (0, [])


def started(flow: str, batch: int) -> tuple[Tally, Flow]:
    """A flow that begins one cycle and no second one, though the first is still counted."""
    now = time.monotonic()
    load = Load(flow, "0", "bench", 1, batch, now, now + 0.001)
    tally = Tally(now, now + 60)
    single, several, _ = FLOWS[flow]
    return tally, rounds(single if batch == 1 else several, load, tally)


def send(flow: Flow, status: int, body: bytes) -> bytes:
    # The load's time is over before the cycle is.
    time.sleep(0.001)
    return flow.send([Answer(status, body)])[0]


def received(ids: list[int]) -> bytes:
    return json.dumps([{"id": number, "receipt": f"receipt-{number}", "body": {}} for number in ids]).encode()


def sqs_sent(flow: str, ids: list[str]) -> bytes:
    if flow == "sqs-query":
        return "".join(f"<MessageId>{each}</MessageId>" for each in ids).encode()
    entries = [{"MessageId": each} for each in ids]
    return json.dumps(entries[0] if len(ids) == 1 else {"Successful": entries}).encode()


def sqs_received(flow: str, messages: list[tuple[str, str]]) -> bytes:
    if flow == "sqs-query":
        shown = "<MessageId>{}</MessageId><ReceiptHandle>{}</ReceiptHandle>"
        return "".join(shown.format(*message) for message in messages).encode()
    return json.dumps({"Messages": [{"MessageId": m, "ReceiptHandle": h} for m, h in messages]}).encode()
