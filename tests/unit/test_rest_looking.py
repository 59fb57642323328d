"""Peek and explain over REST: every field in every state, every code, never a receipt; pause and redrive in time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import pytest

from sqslite.domain.inspection import PEEKED_STATES
from sqslite.domain.limits import RETENTION_MS_DEFAULT
from tests.unit.rest import Rest, rest
from tests.unit.test_wakeups import settled

QUEUE = "/v1/queues/orders"
MESSAGES = f"{QUEUE}/messages"
START = "2026-01-01T00:00:00Z"
EVERYTHING = {
    "body": "text",
    "body_kind": "text",
    "max_retries": 7,
    "dlq": "dead",
    "trace_id": "t",
    "group_id": "g",
    "dedup_id": "d",
    "attributes": {"a": "b"},
}
SEEN = {
    "id": 1,
    "state": "ready",
    **EVERYTHING,
    "enqueued_at": START,
    "not_before": START,
    "expires_at": "2026-01-05T00:00:00Z",
    "delivery_count": 0,
    "fence": 0,
}


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


async def get(api: Rest, path: str) -> dict:
    answer = await api.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(api: Rest, path: str, status: int = 200, **fields: object) -> dict:
    answer = await api.client.post(path, json=fields)
    assert answer.status_code == status, answer.text
    return answer.json()


async def advance(api: Rest, milliseconds: int) -> None:
    await api.clock.advance(timedelta(milliseconds=milliseconds))


async def explained(api: Rest, message_id: int = 1) -> tuple[str, str, str, str | None]:
    answer = await get(api, f"/v1/messages/{message_id}")
    return answer["state"], answer["code"], answer["reason"], answer["changes_at"]


async def test_a_message_is_shown_with_all_it_has(api: Rest):
    await api.enqueue(**EVERYTHING)
    assert await get(api, MESSAGES) == {"messages": [SEEN]}
    why = {"queue": "orders", "code": "ready", "reason": "it can be received now", "changes_at": SEEN["expires_at"]}
    assert await get(api, "/v1/messages/1") == {**SEEN, **why}
    (message,) = await api.receive(visibility_ms=5_000)
    leased = {**SEEN, "state": "leased", "lease_until": "2026-01-01T00:00:05Z", "delivery_count": 1, "fence": 1}
    leased["first_claimed_at"] = START
    assert message["dedup_id"] == "d"
    assert await get(api, MESSAGES) == {"messages": [leased]}
    await post(api, "/v1/messages/1:nack", receipt=message["receipt"], delay_ms=9_000, error="boom")
    delayed = {**leased, "state": "delayed", "not_before": "2026-01-01T00:00:09Z", "last_error": "boom"}
    del delayed["lease_until"]
    assert await get(api, MESSAGES) == {"messages": [delayed]}


async def test_a_message_is_shown_without_what_it_has_not(api: Rest):
    await api.enqueue()
    (seen,) = (await get(api, MESSAGES))["messages"]
    absent = {"body_kind", "dlq", "trace_id", "group_id", "dedup_id", "attributes"}
    assert seen == {**{name: value for name, value in SEEN.items() if name not in absent}, "body": 1, "max_retries": 5}


async def test_a_dead_letter_is_shown_with_its_origin(api: Rest):
    await api.enqueue(**{**EVERYTHING, "max_retries": 1})
    (message,) = await api.receive()
    await post(api, "/v1/messages/1:nack", receipt=message["receipt"], error="boom")
    assert await get(api, MESSAGES) == {"messages": []}
    dead = {**SEEN, "max_retries": 1, "fence": 1, "last_error": "boom"}
    dead |= {"first_claimed_at": START, "origin_queue": "orders", "origin_delivery_count": 1}
    del dead["dlq"]
    assert await get(api, "/v1/queues/dead/messages") == {"messages": [dead]}
    assert (await get(api, "/v1/messages/1"))["queue"] == "dead"


async def test_no_receipt_is_ever_shown(api: Rest):
    for fields in ({}, {"delay": 5_000}, {}, {"dlq": "dead", "max_retries": 1}):
        await api.enqueue(**fields)
    deliveries = await api.receive(max=3)
    await post(api, f"/v1/messages/{deliveries[2]['id']}:nack", receipt=deliveries[2]["receipt"])
    paths = [MESSAGES, "/v1/queues/dead/messages", *(f"{MESSAGES}?state={state}" for state in PEEKED_STATES)]
    for path in (*paths, *(f"/v1/messages/{number}" for number in range(1, 5))):
        shown = (await api.client.get(path)).text
        assert '"id"' in shown or '"messages":[]' in shown
        assert "receipt" not in shown
        for delivery in deliveries:
            assert delivery["receipt"] not in shown
            # The secret is the end of it.
            assert delivery["receipt"][-20:] not in shown


async def test_a_peek_leases_nothing_and_counts_as_no_delivery(api: Rest):
    await api.enqueue()
    for _ in range(3):
        await get(api, MESSAGES)
        await get(api, "/v1/messages/1")
    (message,) = await api.receive()
    assert message["delivery_count"] == 1
    assert (await get(api, f"{QUEUE}/stats"))["received_total"] == 1


@pytest.mark.parametrize(("count", "limit"), [(0, 1), (1, 1), (2, 1), (3, 2), (100, None), (101, None), (5, 1_000)])
async def test_pages_have_up_to_their_limit_and_lead_on_only_where_there_is_more(
    api: Rest, count: int, limit: int | None
):
    await api.client.put(QUEUE)
    for _ in range(count):
        await api.enqueue()
    page = await get(api, MESSAGES if limit is None else f"{MESSAGES}?limit={limit}")
    size = min(count, limit or 100)
    assert [message["id"] for message in page["messages"]] == list(range(1, size + 1))
    assert ("after" in page) == (count > size)


async def test_a_message_that_is_delayed_says_until_when(api: Rest):
    await api.enqueue(delay=5_000)
    reason = "it is delayed until 2026-01-01T00:00:05.000Z"
    assert await explained(api) == ("delayed", "delayed", reason, "2026-01-01T00:00:05Z")
    await advance(api, 5_000)
    assert await explained(api) == ("ready", "ready", "it can be received now", SEEN["expires_at"])


async def test_a_message_that_failed_says_when_it_comes_again(api: Rest):
    await api.client.put(QUEUE, json={"backoff": {"kind": "fixed", "base_ms": 3_000}})
    await api.enqueue()
    (message,) = await api.receive()
    await post(api, "/v1/messages/1:nack", receipt=message["receipt"])
    reason = "delivery 1 failed; the next one is possible at 2026-01-01T00:00:03.000Z"
    assert await explained(api) == ("delayed", "waiting_for_retry", reason, "2026-01-01T00:00:03Z")


async def test_a_message_that_is_leased_says_until_when_and_when_that_is_over(api: Rest):
    await api.enqueue()
    await api.receive(visibility_ms=2_000)
    reason = "a receiver holds it until 2026-01-01T00:00:02.000Z, unless it acks or gives it up before"
    assert await explained(api) == ("leased", "leased", reason, "2026-01-01T00:00:02Z")
    await advance(api, 2_000)
    reason = "its lease ended at 2026-01-01T00:00:02.000Z and is settled within a second"
    assert await explained(api) == ("leased", "lease_ended", reason, None)
    await api.sweep.settle_due()
    assert (await explained(api))[1] == "ready"


async def test_a_message_whose_retention_is_over_says_so_until_it_is_deleted(api: Rest):
    await api.enqueue(retention_ms=1_000, delay=2_000)
    # The end of its retention comes before that of its delay.
    assert (await explained(api))[3] == "2026-01-01T00:00:01Z"
    await advance(api, 1_000)
    reason = "its retention ended at 2026-01-01T00:00:01.000Z: it is not delivered, and deleted soon"
    assert await explained(api) == ("delayed", "retention_over", reason, None)
    assert await api.sweep.clear() is False
    assert (await api.client.get("/v1/messages/1")).json()["code"] == "message_not_found"
    assert "sqs_messages_expired_total 1.0" in (await api.client.get("/metrics")).text


async def test_a_message_behind_its_group_says_which_one_it_waits_for(api: Rest):
    await api.client.put(QUEUE, json={"fifo": True})
    for group in ("g", "g", "g", "h"):
        await api.enqueue(group_id=group)
    reason = "in group 'g' it comes behind message 1"
    assert await explained(api, 3) == ("ready", "behind_in_group", reason, "2026-01-05T00:00:00Z")
    assert (await get(api, "/v1/messages/3"))["blocked_by"] == 1
    for number in (1, 4):
        assert (await explained(api, number))[1] == "ready"
        assert "blocked_by" not in await get(api, f"/v1/messages/{number}")
    await post(api, "/v1/messages/1:ack")
    assert (await get(api, "/v1/messages/3"))["blocked_by"] == 2
    assert (await explained(api, 2))[1] == "ready"


async def test_a_message_behind_its_group_says_when_that_changes(api: Rest):
    await api.client.put(QUEUE, json={"fifo": True})
    for _ in range(2):
        await api.enqueue(group_id="g")
    (first,) = await api.receive(max=1, visibility_ms=30_000)
    assert (await explained(api, 2))[3] == "2026-01-01T00:00:30Z"
    await post(api, "/v1/messages/1:nack", receipt=first["receipt"], delay_ms=60_000)
    assert (await explained(api, 2))[3] == "2026-01-01T00:01:00Z"


async def test_what_stands_first_is_what_is_said(api: Rest):
    await api.client.put(QUEUE, json={"fifo": True})
    for fields in ({}, {}, {"delay": 5_000}, {"retention_ms": 1}):
        await api.enqueue(group_id="g", **fields)
    await api.receive(max=1)
    await post(api, f"{QUEUE}:pause")
    await advance(api, 1)
    codes = [(await explained(api, number))[1] for number in (1, 2, 3, 4)]
    assert codes == ["leased", "queue_paused", "delayed", "retention_over"]
    await post(api, f"{QUEUE}:resume")
    assert (await explained(api, 2))[1] == "behind_in_group"


async def test_a_receive_that_waits_gets_nothing_of_a_paused_queue_and_all_at_its_resume(api: Rest):
    await api.client.put(QUEUE)
    waiting = asyncio.ensure_future(api.receive(wait_ms=20_000))
    await settled()
    await post(api, f"{QUEUE}:pause")
    message_id = await api.enqueue()
    await advance(api, 10_000)
    assert not waiting.done()
    await post(api, f"{QUEUE}:resume")
    await settled()
    assert [message["id"] for message in await waiting] == [message_id]


async def test_a_receive_that_waits_on_a_paused_queue_is_answered_in_time(api: Rest):
    await api.enqueue()
    await post(api, f"{QUEUE}:pause")
    waiting = asyncio.ensure_future(api.receive(wait_ms=1_000))
    await settled()
    await advance(api, 999)
    assert not waiting.done()
    await advance(api, 1)
    assert await waiting == []


async def test_a_paused_queue_stays_paused_through_settings_and_purges(api: Rest):
    await api.enqueue()
    await post(api, f"{QUEUE}:pause")
    assert (await api.client.put(QUEUE, json={"delay_ms": 1})).json()["paused"] is True
    await post(api, f"{QUEUE}:purge")
    assert (await get(api, QUEUE))["paused"] is True


async def test_a_message_is_kept_for_ever_where_the_operator_allows_it():
    async with rest(retention_forever=True) as api:
        await api.enqueue(retention_ms=0)
        assert (await api.client.put("/v1/queues/kept", json={"retention_ms": 0})).json()["retention_ms"] == 0
        await api.enqueue("kept")
        await advance(api, 100 * RETENTION_MS_DEFAULT)
        assert await api.sweep.clear() is False
        for number, queue in ((1, "orders"), (2, "kept")):
            assert "expires_at" not in await get(api, f"/v1/messages/{number}")
            assert (await explained(api, number))[3] is None
            assert len(await api.receive(queue)) == 1


async def test_a_dead_letters_retention_is_its_new_queues_from_its_first_enqueue_on(api: Rest):
    await api.client.put("/v1/queues/dead", json={"retention_ms": 10 * RETENTION_MS_DEFAULT // 4})
    await api.enqueue(dlq="dead", max_retries=1)
    await advance(api, RETENTION_MS_DEFAULT - 1)
    (message,) = await api.receive()
    await post(api, "/v1/messages/1:nack", receipt=message["receipt"])
    dead = await get(api, "/v1/messages/1")
    assert (dead["queue"], dead["enqueued_at"], dead["expires_at"]) == ("dead", START, "2026-01-11T00:00:00Z")


@contextlib.asynccontextmanager
async def redriving(api: Rest) -> AsyncIterator[None]:
    running = asyncio.create_task(api.redriving.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_redrive_keeps_to_its_rate_and_can_be_watched_and_ended(api: Rest):
    for _ in range(10):
        await api.enqueue(dlq="dead", max_retries=1)
    nacks = [{"receipt": message["receipt"]} for message in await api.receive(max=10)]
    await post(api, "/v1/messages:nack", nacks=nacks)
    async with redriving(api):
        started = await post(api, "/v1/queues/dead:redrive", 202, max_per_second=2)
        assert started == {
            "id": 1,
            "queue": "dead",
            "state": "running",
            "moved": 0,
            "created_at": START,
            "max_per_second": 2,
        }
        moved = []
        for _ in range(3):
            await advance(api, 1_000)
            (task,) = (await get(api, "/v1/queues/dead/redrives"))["redrives"]
            moved.append(task["moved"])
        assert [later - earlier for earlier, later in pairwise(moved)] == [2, 2]
        ended = await post(api, "/v1/queues/dead/redrives/1:cancel")
        await advance(api, 10_000)
    assert ended == {**started, "state": "cancelled", "moved": moved[-1], "ended_at": "2026-01-01T00:00:03Z"}
    assert await get(api, "/v1/queues/dead/redrives") == {"redrives": [ended]}
    assert (await get(api, "/v1/queues/dead/stats"))["ready"] == 10 - moved[-1]
    assert f"sqs_messages_redriven_total {float(moved[-1])}" in (await api.client.get("/metrics")).text


async def test_redrives_are_shown_newest_first_and_of_this_queue_only(api: Rest):
    for queue in ("dead", "other"):
        await api.client.put(f"/v1/queues/{queue}")
    async with redriving(api):
        for queue in ("dead", "dead", "other"):
            await post(api, f"/v1/queues/{queue}:redrive", 202)
            await advance(api, 2_000)
    shown = (await get(api, "/v1/queues/dead/redrives"))["redrives"]
    assert [(task["id"], task["state"], task["queue"]) for task in shown] == [
        (2, "completed", "dead"),
        (1, "completed", "dead"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "sent", "text"),
    [
        ("PUT", QUEUE, '{"fifo":1}', "fifo must be true or false; got 1"),
        ("PUT", QUEUE, '{"fifo":null}', "fifo must be true or false; got null"),
        ("PUT", QUEUE, '{"fair":"yes"}', 'fair must be true or false; got "yes"'),
        (
            "PUT",
            QUEUE,
            '{"fifo":true,"fair":true}',
            "fair must be false for a FIFO queue, whose groups are served in turn anyway; got true",
        ),
        ("POST", MESSAGES, '{"body":1,"group_id":1}', "group_id must be a string or null; got 1"),
        ("POST", MESSAGES, '{"body":1,"dedup_id":[]}', "dedup_id must be a string or null; got []"),
        ("POST", MESSAGES, '{"body":1,"attributes":null}', "attributes must be a JSON object; got null"),
        ("POST", MESSAGES, '{"body":1,"attributes":{"a":1}}', 'attributes[...] must be a string; got {"a":1}'),
        ("POST", MESSAGES, '{"body":1,"retention_ms":1.5}', "retention_ms must be a whole number or null; got 1.5"),
        (
            "POST",
            MESSAGES,
            '{"body":1,"retention_ms":0}',
            "retention_ms must be 1 to 1209600000 (0, for ever, only where the operator sets RETENTION_FOREVER=on)",
        ),
        ("POST", f"{QUEUE}:receive", '{"attempt_id":5}', "attempt_id must be a string or null; got 5"),
        ("POST", f"{QUEUE}:redrive", '{"to":1}', "to must be a string or null; got 1"),
        ("POST", f"{QUEUE}:redrive", '{"to":"a b"}', "to must be 1 to 80 of the characters A-Z a-z 0-9 _ - .; got "),
        ("POST", f"{QUEUE}:redrive", '{"max_per_second":"1"}', "max_per_second must be a whole number or null; got "),
        ("POST", f"{QUEUE}:redrive", '{"max_per_second":10001}', "max_per_second must be 1 to 10000; got 10001"),
        ("POST", f"{QUEUE}:redrive", '{"limit":true}', "limit must be a whole number or null; got true"),
        ("POST", f"{QUEUE}:redrive", '{"limit":0}', "limit must be 1 to 9007199254740991; got 0"),
        ("POST", f"{QUEUE}:redrive", '{"limit":9007199254740992}', "limit must be 1 to 9007199254740991; got "),
        (
            "POST",
            f"{QUEUE}:redrive",
            '{"to":"orders"}',
            'to must be another queue than the one that is redriven; got "orders"',
        ),
    ],
)
async def test_a_refusal_names_field_value_and_what_is_allowed(api: Rest, method: str, path: str, sent: str, text: str):
    await api.client.put(QUEUE)
    answer = await api.client.request(method, path, content=sent)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert answer.json()["error"].startswith(text)
    assert (await get(api, QUEUE))["fifo"] is False
    assert (await get(api, f"{QUEUE}/stats"))["enqueued_total"] == 0
    assert await get(api, f"{QUEUE}/redrives") == {"redrives": []}
