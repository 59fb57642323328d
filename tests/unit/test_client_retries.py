"""What is sent again, when, and what its answers come to: talks held with a server that the test plays."""

from collections.abc import Iterator, Sequence

import msgspec
import pytest

from sqslite.adapters.client import looking_after, messaging
from sqslite.adapters.client.calls import Call, Session
from sqslite.adapters.client.requests import Outcome, Reply, Request
from sqslite.adapters.client.talking import BATCH_BYTES_MAX, Pause, Retrying
from sqslite.domain.errors import (
    InvalidValue,
    MessageNotFound,
    OutcomeUnknown,
    Overloaded,
    QueueNotFound,
    SchemaTooNew,
    SqsliteError,
    StaleReceipt,
    StoreUnavailable,
)
from sqslite.domain.leases import SECRET_BYTES, Nack, Receipt
from sqslite.domain.limits import BATCH_MAX
from sqslite.domain.messages import Accepted, BodyKind
from sqslite.domain.ports import Extension
from sqslite.domain.queues import QueueSettings
from sqslite.wire.shapes import ErrorOut, ResultOut, ResultsOut
from tests.unit.node import message

LOST = OutcomeUnknown("no answer")
AWAY = StoreUnavailable("cannot connect")
GONE = Reply(404, msgspec.json.encode(ErrorOut("gone", "queue_not_found")))
RECEIPT = Receipt(1, 2, 3, b"s" * SECRET_BYTES)


def busy(retry_after_s: int | None = None, code: str = "overloaded") -> Reply:
    return Reply(503, msgspec.json.encode(ErrorOut("busy", code)), retry_after_s)


def results(*results: ResultOut) -> Reply:
    return Reply(200, msgspec.json.encode(ResultsOut(list(results))))


def refused(code: str) -> ResultOut:
    return ResultOut(error="no", code=code)


OK = ResultOut(ok=True)


class Held:
    """A talk that was held: what was sent, how long it paused, and what came of it."""

    def __init__(self, call: Call, *outcomes: Outcome, retries: int = 3, jitter: float = 1.0) -> None:
        ids = (f"own-{n}" for n in range(10_000))
        session = Session(Retrying(retries, lambda: jitter), lambda: next(ids))
        self.sent: list[Request] = []
        self.pauses: list[float] = []
        self.result: object = None
        self.error: SqsliteError | None = None
        try:
            self._hold(call.talk(session), iter(outcomes))
        except SqsliteError as error:
            self.error = error

    def _hold(self, talk, outcomes: Iterator[Outcome]) -> None:
        said: Outcome | None = None
        while True:
            try:
                step = talk.send(said)
            except StopIteration as end:
                self.result = end.value
                assert next(outcomes, None) is None, "not all that the server had to say was asked for"
                return
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
                said = None
            else:
                self.sent.append(step)
                said = next(outcomes)

    def bodies(self) -> list[dict]:
        return [msgspec.json.decode(request.body) for request in self.sent]


def enqueued(*outcomes: Outcome, messages: Sequence = (message(),), **how: object) -> Held:
    return Held(messaging.enqueue("orders", messages), *outcomes, **how)


def test_what_failed_is_sent_again_after_pauses_that_grow():
    held = enqueued(AWAY, busy(), LOST, results(ResultOut(id=7)))
    assert held.result == [Accepted(7)]
    assert held.pauses == [0.1, 0.2, 0.4]
    assert len(set(held.sent)) == 1


def test_pauses_are_all_of_them_random():
    assert enqueued(AWAY, AWAY, results(ResultOut(id=7)), jitter=0.25).pauses == [0.025, 0.05]


def test_no_pause_grows_beyond_its_bound():
    assert enqueued(*[AWAY] * 9, retries=8).pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2]


def test_tries_are_bounded_and_the_last_error_is_raised():
    held = enqueued(AWAY, AWAY, AWAY, LOST)
    assert held.error is LOST
    assert len(held.sent) == 4


def test_without_retries_nothing_is_sent_twice_and_nothing_added():
    held = enqueued(busy(), retries=0)
    assert isinstance(held.error, Overloaded)
    (body,) = held.bodies()
    assert body == {"messages": [{"body": {"n": 1}}]}


def test_a_server_that_says_when_is_given_that_time():
    assert enqueued(busy(2), results(ResultOut(id=7))).pauses == [2.1]


def test_a_server_that_asks_for_too_much_is_not_waited_for():
    held = enqueued(busy(31))
    assert isinstance(held.error, Overloaded)
    assert len(held.sent) == 1


@pytest.mark.parametrize("reply", [busy(code="schema_too_new"), Reply(404, b""), busy(code="invalid_value")])
def test_what_would_not_go_better_is_not_sent_again(reply: Reply):
    held = enqueued(reply)
    assert isinstance(held.error, SchemaTooNew | InvalidValue)
    assert len(held.sent) == 1


def test_a_message_has_a_dedup_id_of_its_own_and_keeps_it_from_try_to_try():
    held = enqueued(
        LOST,
        results(ResultOut(id=7, duplicate=True), ResultOut(id=8), ResultOut(id=9, duplicate=True)),
        messages=[message(), message(), message(dedup_id="mine")],
    )
    first, second = held.bodies()
    assert first == second
    assert [sent["dedup_id"] for sent in first["messages"]] == ["own-0", "own-1", "mine"]
    # With an id of the client's own it is this very message that was there; with the caller's nobody can tell.
    assert held.result == [Accepted(7), Accepted(8), Accepted(9, duplicate=True)]


def test_entries_that_failed_are_sent_again_without_the_others():
    held = enqueued(
        results(ResultOut(id=1), refused("overloaded"), refused("invalid_value"), refused("store_unavailable")),
        results(ResultOut(id=2), ResultOut(id=4)),
        messages=[message(b"%d" % n) for n in range(1, 5)],
    )
    one, two, three, four = held.result
    assert (one, two, four) == (Accepted(1), Accepted(2), Accepted(4))
    assert isinstance(three, InvalidValue)
    assert [sent["body"] for sent in held.bodies()[1]["messages"]] == [2, 4]


def test_entries_that_fail_to_the_end_are_told_so():
    held = Held(messaging.ack([RECEIPT, RECEIPT]), results(OK, refused("overloaded")), *[busy()] * 3)
    done, failed = held.result
    assert done is None
    assert isinstance(failed, Overloaded)
    assert len(held.sent) == 4


def test_a_bad_body_does_not_spoil_the_request():
    held = enqueued(results(ResultOut(id=1), ResultOut(id=2)), messages=[message(b"1"), message(b"{"), message(b"2")])
    one, bad, two = held.result
    assert (one, two) == (Accepted(1), Accepted(2))
    assert isinstance(bad, InvalidValue)
    assert enqueued(messages=[message(b"{")]).sent == []


def test_many_entries_go_in_several_requests_and_a_part_that_fails_is_its_entries_answer():
    call = messaging.ack([RECEIPT] * (2 * BATCH_MAX + 1))
    held = Held(call, results(*[OK] * BATCH_MAX), AWAY, results(OK), retries=0)
    assert [len(body["acks"]) for body in held.bodies()] == [BATCH_MAX, BATCH_MAX, 1]
    assert held.result == [None] * BATCH_MAX + [AWAY] * BATCH_MAX + [None]


def test_large_messages_go_in_several_requests_too():
    large = message(b"x" * (BATCH_BYTES_MAX // 2), body_kind=BodyKind.TEXT)
    replies = [results(ResultOut(id=n)) for n in (1, 2, 3)]
    assert len(enqueued(*replies, messages=[large] * 3).sent) == 3


def test_the_first_part_that_fails_is_raised():
    assert Held(messaging.ack([RECEIPT] * (BATCH_MAX + 1)), AWAY, retries=0).error is AWAY


def test_a_claim_has_an_attempt_id_of_its_own_and_keeps_it():
    held = Held(messaging.claim("orders", 5, None, None, None), LOST, Reply(200, b"[]"))
    assert held.bodies() == [{"max": 5, "attempt_id": "own-0"}] * 2
    assert Held(messaging.claim("orders", 5, None, None, "mine"), Reply(200, b"[]")).bodies()[0]["attempt_id"] == "mine"
    assert Held(messaging.claim("orders", 5, None, None, None), Reply(200, b"[]"), retries=0).bodies() == [{"max": 5}]


@pytest.mark.parametrize(("wait_ms", "granted_ms"), [(0, 0), (20_000, 20_000), (None, 60_000)])
def test_a_claim_is_given_the_time_of_its_wait(wait_ms: int | None, granted_ms: int):
    held = Held(messaging.claim("orders", None, None, wait_ms, None), Reply(200, b"[]"))
    assert held.sent[0].wait_ms == granted_ms


@pytest.mark.parametrize("call", [messaging.ack([RECEIPT]), messaging.ack_unproven([2])])
def test_an_ack_tried_again_that_finds_nothing_was_done_before(call: Call):
    assert Held(call, LOST, results(refused("message_not_found"))).result == [None]
    assert Held(call, results(refused("outcome_unknown")), results(refused("message_not_found"))).result == [None]
    for first in (AWAY, busy(), results(refused("overloaded"))):
        (error,) = Held(call, first, results(refused("message_not_found"))).result
        assert isinstance(error, MessageNotFound)
    (error,) = Held(call, LOST, results(refused("stale_receipt"))).result
    assert isinstance(error, StaleReceipt)


@pytest.mark.parametrize("code", ["stale_receipt", "message_not_found"])
def test_a_nack_tried_again_that_holds_nothing_was_done_before(code: str):
    call = messaging.nack([Nack(RECEIPT)])
    assert Held(call, LOST, results(refused(code))).result == [None]
    (error,) = Held(call, AWAY, results(refused(code))).result
    assert isinstance(error, StaleReceipt | MessageNotFound)


def test_an_extension_tried_again_says_what_it_finds():
    call = messaging.extend([Extension(RECEIPT, 1_000)])
    (error,) = Held(call, LOST, results(refused("stale_receipt"))).result
    assert isinstance(error, StaleReceipt)


def test_a_delete_tried_again_that_finds_no_queue_was_done_before():
    call = looking_after.delete("orders")
    assert Held(call, LOST, GONE).error is None
    assert isinstance(Held(call, GONE).error, QueueNotFound)
    assert isinstance(Held(call, AWAY, GONE).error, QueueNotFound)


def test_a_redrive_is_started_again_only_where_nothing_was_done():
    call = looking_after.start("dead", None, None, None)
    assert Held(call, LOST).error is LOST
    assert isinstance(Held(call, AWAY, busy(), GONE).error, QueueNotFound)


def test_who_only_looks_is_told_that_nothing_was_done():
    held = Held(looking_after.get("orders"), *[LOST] * 4)
    assert isinstance(held.error, StoreUnavailable)
    assert {request.method for request in held.sent} == {"GET"}


def test_an_answer_that_cannot_be_read_is_an_unknown_outcome():
    assert isinstance(Held(looking_after.put("orders", QueueSettings()), Reply(200, b"<html>")).error, OutcomeUnknown)
