"""The fixtures as a user's tests see them, and whole test runs that use them."""

from datetime import timedelta

import httpx
import pytest

from sqslite import Client
from sqslite.adapters.faults import FaultRates
from sqslite.domain.errors import InvalidValue, SqsliteError, StaleReceipt, StoreUnavailable
from sqslite.entrypoints.testing.durations import milliseconds


@pytest.mark.parametrize(
    ("duration", "expected_ms"),
    [("250ms", 250), ("30s", 30_000), ("1.5 m", 90_000), ("2h", 7_200_000), ("1d", 86_400_000), (2, 2_000)],
)
def test_a_duration_is_written_as_people_do(duration, expected_ms):
    assert milliseconds(duration) == expected_ms
    assert milliseconds(timedelta(milliseconds=expected_ms)) == expected_ms


@pytest.mark.parametrize("duration", ["", "30", "s", "-1s", "1w", "٣s"])
def test_what_is_no_duration_is_said(duration):
    with pytest.raises(InvalidValue, match="duration must be such as"):
        milliseconds(duration)


def test_a_lease_ends_when_the_clock_is_advanced(sqs_queue):
    sqs_queue.send({"id": 7})
    (first,) = sqs_queue.receive(visibility_ms=30_000)
    sqs_queue.clock.advance("29s")
    assert sqs_queue.receive() == []
    sqs_queue.clock.advance("1s")
    (second,) = sqs_queue.receive()
    assert (second.body, second.message.delivery_count) == ({"id": 7}, 2)
    with pytest.raises(StaleReceipt):
        sqs_queue.finish(first)
    sqs_queue.finish(second)
    assert sqs_queue.messages() == []


def test_time_stands_still_when_frozen(sqs_queue):
    sqs_queue.clock.freeze()
    stood = sqs_queue.clock.now
    assert sqs_queue.clock.now == stood
    assert sqs_queue.clock.advance(timedelta(hours=1)) == stood + timedelta(hours=1)
    sqs_queue.clock.run()


def test_the_queue_is_named_for_the_test(sqs_queue):
    assert sqs_queue.name == "test_the_queue_is_named_for_the_test"
    sqs_queue.client.send(sqs_queue.name, "by name")
    assert [delivery.body for delivery in sqs_queue.drain()] == ["by name"]


@pytest.mark.parametrize("turn", [1, 2])
def test_no_test_sees_what_another_left(sqs_queue, turn):
    assert sqs_queue.client.administration.page() == []
    sqs_queue.clock.advance("1h")
    sqs_queue.let_fail(refused=1)
    with pytest.raises(StoreUnavailable):
        sqs_queue.send(turn)
    sqs_queue.let_fail()
    accepted = sqs_queue.send(turn)
    assert sqs_queue.assert_enqueued(turn, count=1).id == accepted.id


def test_seeded_faults_are_the_same_each_time(sqs_queue):
    def outcomes() -> list[bool]:
        sqs_queue.let_fail(refused=0.5, seed=7)
        return [_sent(sqs_queue) for _ in range(20)]

    assert outcomes() == outcomes()
    assert set(outcomes()) == {True, False}


def _sent(queue) -> bool:
    try:
        queue.send(1)
    except SqsliteError:
        return False
    return True


def test_a_drain_is_spared_from_faults_and_acks_all(sqs_queue):
    for number in range(25):
        sqs_queue.send(number)
    sqs_queue.let_fail(refused=1, lost_response=1, duplicate_delivery=1)
    assert [delivery.body for delivery in sqs_queue.drain()] == list(range(25))
    assert sqs_queue.messages() == []


def test_a_rate_that_does_not_exist_or_is_none_is_said(sqs_queue):
    with pytest.raises(TypeError, match="refusd"):
        sqs_queue.let_fail(refusd=1)
    with pytest.raises(InvalidValue, match="refused must be 0 to 1; got 3"):
        sqs_queue.let_fail(refused=3)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ({"id": 7, "of": {"a": 1, "b": 2}}, {"of": {"b": 2}}),
        ({"id": 7}, {}),
        ([1, 2], [1, 2]),
        ("text", "text"),
        (b"\x00", b"\x00"),
        (5, lambda body: body > 4),
        ({"id": 7}, {"id": lambda value: value == 7}),
    ],
)
def test_what_matches_is_found(sqs_queue, body, match):
    accepted = sqs_queue.send(body)
    assert sqs_queue.assert_enqueued(match).id == accepted.id
    assert sqs_queue.assert_enqueued().id == accepted.id


@pytest.mark.parametrize("match", [{"id": 8}, {"other": 7}, {"id": {"deep": 1}}, [7], lambda body: False])
def test_what_does_not_match_is_said_with_what_is_there(sqs_queue, match):
    for number in range(12):
        sqs_queue.send({"id": 7, "number": number})
    with pytest.raises(AssertionError, match=r"(?s)no message matching .*'number': 9}\n  … and 2 more"):
        sqs_queue.assert_enqueued(match)


def test_an_object_that_is_no_dict_matches_no_dict(sqs_queue):
    sqs_queue.send([1])
    with pytest.raises(AssertionError):
        sqs_queue.assert_enqueued({})


def test_as_many_must_match_as_is_said(sqs_queue):
    sqs_queue.send(1)
    sqs_queue.send(1)
    sqs_queue.assert_enqueued(1, count=2)
    with pytest.raises(AssertionError, match="2 messages, not 1, matching 1"):
        sqs_queue.assert_enqueued(1, count=1)


def test_an_empty_queue_says_so(sqs_queue):
    with pytest.raises(AssertionError, match=r"no message in queue .*\n  \(it is empty\)"):
        sqs_queue.assert_enqueued()


def test_leased_and_delayed_messages_are_there_too_and_more_than_a_page(sqs_queue):
    for number in range(205):
        sqs_queue.send(number, delay_ms=1_000 if number % 2 else 0)
    sqs_queue.receive(5)
    assert [message.body for message in sqs_queue.messages()] == [str(number).encode() for number in range(205)]


def test_the_server_is_real_and_its_time_moves(sqslite_server):
    httpx.post(f"{sqslite_server.url}/v1/queues/orders/messages", json={"body": {"id": 7}}).raise_for_status()
    sqslite_server.assert_enqueued("orders", {"id": 7})
    with Client(sqslite_server.url) as other:
        (delivery,) = other.receive("orders")
        sqslite_server.clock.advance("1m")
        (again,) = sqslite_server.client.receive("orders")
    assert (again.message.id, again.message.delivery_count) == (delivery.message.id, 2)


def test_the_servers_time_moves_over_the_wire_too(sqslite_server):
    with httpx.Client(base_url=f"{sqslite_server.url}/v1/testing") as control:
        before = control.get("").json()
        assert control.post("/clock:freeze").json()["frozen"] is True
        now = control.post("/clock:advance", json={"by_ms": 3_600_000}).json()["now"]
        assert now > before["now"]
        assert control.post("/clock:run").json()["frozen"] is False
        faults = control.put("/faults", json={"refused": 1, "seed": 3}).json()["faults"]
        assert (faults["refused"], faults["seed"]) == (1, 3)
        with pytest.raises(StoreUnavailable), Client(sqslite_server.url, retries=0) as client:
            client.send("orders", 1)
        assert control.post(f"{control.base_url}".rstrip("/") + ":reset").json()["faults"] == before["faults"]
    assert sqslite_server.client.administration.page() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/clock:advance", {"by_ms": -1}, "by_ms must be 0 to 31622400000; got -1"),
        ("POST", "/clock:advance", {}, "the field by_ms is required"),
        ("PUT", "/faults", {"refused": 2}, "refused must be 0 to 1; got 2"),
        ("PUT", "/faults", {"refusd": 1}, 'unknown field "refusd"'),
    ],
)
def test_bad_input_over_the_wire_is_named(sqslite_server, method, path, body, named):
    answer = httpx.request(method, f"{sqslite_server.url}/v1/testing{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(named)


@pytest.mark.parametrize("fixture", ["sqs_queue", "sqslite_memory", "sqslite_server"])
def test_code_under_test_may_close_the_client_it_is_given(request, fixture):
    bed = request.getfixturevalue(fixture)
    with bed.client as client:
        client.send("orders", 1)
    (delivery,) = bed.client.receive("orders")
    assert delivery.body == 1


@pytest.mark.parametrize("turn", [1, 2])
def test_a_queue_made_over_the_sqs_wire_may_be_made_in_the_next_test(sqslite_server, turn):
    target = {"X-Amz-Target": "AmazonSQS.CreateQueue", "Content-Type": "application/x-amz-json-1.0"}
    made = httpx.post(sqslite_server.url, headers=target, json={"QueueName": "orders"})
    assert made.status_code == 200, made.text
    sqslite_server.clock.advance("2h")


def test_all_rates_are_documented():
    assert set(FaultRates.__struct_fields__) == {
        "seed", "refused", "lost_request", "lost_response", "duplicate_delivery", "delayed_ack", "delay_ms",
    }  # fmt: skip
