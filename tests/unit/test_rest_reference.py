"""What a program written against the reference sends and reads, in the words of the reference's own description."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.rest import Rest, rest

RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


async def post(api: Rest, path: str, json: object):
    return await api.client.post(path, json=json, headers={"accept": "*/*", "user-agent": "Go-http-client/1.1"})


async def test_a_message_goes_from_enqueue_over_receive_to_ack(api):
    enqueued = await post(
        api,
        "/v1/queues/orders/messages",
        {"body": {"task": "process-order"}, "delay": 0, "max_retries": 3, "dlq": "failed-queue", "trace_id": "xyz123"},
    )
    assert (enqueued.status_code, enqueued.headers["content-type"]) == (201, "application/json")
    message_id = enqueued.json()["id"]
    assert enqueued.json() == {"id": message_id}
    assert type(message_id) is int

    received = await post(api, "/v1/queues/orders:receive", {"max": 10, "visibility_ms": 30000})
    assert (received.status_code, received.headers["content-type"]) == (200, "application/json")
    (message,) = received.json()
    assert message.pop("enqueued_at") == "2026-01-01T00:00:00Z"
    assert type(message["receipt"]) is str
    assert message == {
        "id": message_id,
        "body": {"task": "process-order"},
        "receipt": message["receipt"],
        "lease_until": "2026-01-01T00:00:30Z",
        "delivery_count": 1,
        "fence": 1,
        "max_retries": 3,
        "dlq": "failed-queue",
        "trace_id": "xyz123",
    }

    acked = await post(api, f"/v1/messages/{message_id}:ack", {})
    assert (acked.status_code, acked.headers["content-type"], acked.json()) == (200, "application/json", {"ok": True})
    again = await post(api, f"/v1/messages/{message_id}:ack", {})
    assert (again.status_code, again.json()["code"]) == (404, "message_not_found")


async def test_an_empty_or_unknown_queue_gives_an_empty_list(api):
    answer = await post(api, "/v1/queues/nobody-was-here:receive", {"max": 1, "visibility_ms": 1000})
    assert (answer.status_code, answer.content) == (200, b"[]")


async def test_what_was_not_set_is_not_shown(api):
    await api.enqueue()
    (message,) = await api.receive()
    shown = ["id", "body", "receipt", "lease_until", "delivery_count", "fence", "max_retries", "enqueued_at"]
    assert list(message) == shown
    assert message["max_retries"] == 5


@pytest.mark.parametrize("microseconds", [0, 1, 100, 123456, 999999])
async def test_times_are_rfc_3339_in_utc(api, microseconds):
    api.clock.shift(timedelta(microseconds=microseconds))
    await api.enqueue()
    (message,) = await api.receive()
    for name in ("lease_until", "enqueued_at"):
        assert RFC_3339_UTC.fullmatch(message[name])
        assert datetime.fromisoformat(message[name]).tzinfo == UTC
    assert datetime.fromisoformat(message["lease_until"]) - api.clock.now() == timedelta(seconds=30)


async def test_a_delayed_message_comes_when_its_time_has_come(api):
    await api.enqueue(delay=5_000)
    await api.clock.advance(timedelta(milliseconds=4_999))
    assert await api.receive() == []
    await api.clock.advance(timedelta(milliseconds=1))
    assert len(await api.receive()) == 1


async def test_receive_takes_ten_unless_it_says_otherwise(api):
    for _ in range(33):
        await api.enqueue()
    assert len(await api.receive()) == 10
    assert len(await api.receive(max=20)) == 20
    assert [message["id"] for message in await api.receive(max=1_000)] == [31, 32, 33]


async def test_deliveries_used_up_lead_to_the_dead_letter_queue(api):
    message_id = await api.enqueue(body={"n": 1}, max_retries=2, dlq="failed", trace_id="t")
    for delivery_count in (1, 2):
        (message,) = await api.receive(visibility_ms=1_000)
        assert message["delivery_count"] == delivery_count
        await api.clock.advance(timedelta(seconds=1))
    assert await api.receive() == []
    (dead,) = await api.receive("failed")
    assert (dead["id"], dead["body"], dead["trace_id"]) == (message_id, {"n": 1}, "t")
    assert (dead["delivery_count"], dead["max_retries"], dead["enqueued_at"]) == (1, 2, "2026-01-01T00:00:00Z")
    assert (dead["origin_queue"], dead["origin_delivery_count"]) == ("orders", 2)
    assert "dlq" not in dead


async def test_a_receipt_in_an_ack_counts(api):
    await api.enqueue()
    (first,) = await api.receive(visibility_ms=1_000)
    await api.clock.advance(timedelta(seconds=1))
    (second,) = await api.receive()
    stale = await post(api, f"/v1/messages/{first['id']}:ack", {"receipt": first["receipt"]})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_receipt")
    current = await post(api, f"/v1/messages/{second['id']}:ack", {"receipt": second["receipt"]})
    assert (current.status_code, current.json()) == (200, {"ok": True})


async def test_extend_holds_longer_and_zero_releases(api):
    await api.enqueue()
    (message,) = await api.receive()
    path = f"/v1/messages/{message['id']}:extend"
    longer = await post(api, path, {"receipt": message["receipt"], "visibility_ms": 60_000})
    assert (longer.status_code, longer.json()) == (200, {"lease_until": "2026-01-01T00:01:00Z"})
    released = await post(api, path, {"receipt": message["receipt"], "visibility_ms": 0})
    assert released.status_code == 200
    assert RFC_3339_UTC.fullmatch(released.json()["lease_until"])
    assert [again["delivery_count"] for again in await api.receive()] == [2]


async def test_nack_may_send_a_message_to_its_dlq_at_once(api):
    await api.enqueue(dlq="failed")
    (message,) = await api.receive()
    wish = {"receipt": message["receipt"], "dead_letter": True, "error": "no such article"}
    assert (await post(api, f"/v1/messages/{message['id']}:nack", wish)).status_code == 200
    (dead,) = await api.receive("failed")
    assert (dead["id"], dead["last_error"], dead["origin_delivery_count"]) == (message["id"], "no such article", 1)


async def test_nack_says_when_to_come_back_and_why(api):
    await api.enqueue()
    (message,) = await api.receive()
    wish = {"receipt": message["receipt"], "delay_ms": 1_000, "error": "card declined"}
    answer = await post(api, f"/v1/messages/{message['id']}:nack", wish)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert await api.receive() == []
    await api.clock.advance(timedelta(seconds=1))
    (again,) = await api.receive()
    assert (again["delivery_count"], again["last_error"]) == (2, "card declined")
