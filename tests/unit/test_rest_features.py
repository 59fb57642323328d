"""What queues do beside enqueue, receive and ack, as REST shows it: groups, duplicates, purge, peek, redrive."""

from datetime import timedelta

import pytest

from sqslite.domain.limits import ATTEMPT_MS, ATTRIBUTES_MAX, DEDUP_MS_DEFAULT, RETENTION_MS_DEFAULT, RETENTION_MS_MAX
from tests.unit.rest import BODY_BYTES_MAX, Rest, rest

QUEUE = "/v1/queues/orders"
MESSAGES = f"{QUEUE}/messages"


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


async def refused(api: Rest, method: str, path: str, status: int, code: str, **body: object) -> str:
    answer = await api.client.request(method, path, json=body or None)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()["error"]


async def done(api: Rest, method: str, path: str, status: int = 200, **body: object) -> dict:
    answer = await api.client.request(method, path, json=body or None)
    assert answer.status_code == status, answer.text
    return answer.json()


async def advance(api: Rest, milliseconds: int) -> None:
    await api.clock.advance(timedelta(milliseconds=milliseconds))


async def test_a_fifo_queue_gives_a_group_in_order_and_one_batch_at_a_time(api: Rest):
    await done(api, "PUT", QUEUE, 201, fifo=True)
    for n in range(3):
        await done(api, "POST", MESSAGES, 201, body=n, group_id="g")
    first, second = await api.receive(max=2)
    assert [first["body"], second["body"], first["group_id"]] == [0, 1, "g"]
    assert await api.receive() == []
    await done(api, "POST", f"/v1/messages/{first['id']}:ack", receipt=first["receipt"])
    await done(api, "POST", f"/v1/messages/{second['id']}:nack", receipt=second["receipt"])
    assert [message["body"] for message in await api.receive()] == [1, 2]


async def test_a_fifo_queue_wants_a_group(api: Rest):
    await done(api, "PUT", QUEUE, 201, fifo=True)
    text = await refused(api, "POST", MESSAGES, 400, "invalid_value", body=1)
    assert text == "group_id must be given for each message of orders, which is a FIFO queue; got null"


async def test_fifo_cannot_change_and_does_not_go_with_fair(api: Rest):
    await done(api, "PUT", QUEUE, 201, fifo=True)
    await refused(api, "PUT", QUEUE, 409, "queue_conflict", fifo=False)
    await refused(api, "PUT", QUEUE, 400, "invalid_value", fifo=True, fair=True)


async def test_a_fair_queue_serves_groups_in_turn(api: Rest):
    await done(api, "PUT", QUEUE, 201, fair=True)
    for group in ["flood"] * 5 + ["quiet"]:
        await done(api, "POST", MESSAGES, 201, body=group, group_id=group)
    assert {message["body"] for message in await api.receive(max=2)} == {"flood", "quiet"}


async def test_a_duplicate_is_answered_with_the_first_id_even_after_its_ack(api: Rest):
    first = await done(api, "POST", MESSAGES, 201, body=1, dedup_id="d")
    assert await done(api, "POST", MESSAGES, 200, body=2, dedup_id="d") == {**first, "duplicate": True}
    (message,) = await api.receive()
    await done(api, "POST", f"/v1/messages/{message['id']}:ack", receipt=message["receipt"])
    assert await done(api, "POST", MESSAGES, 200, body=3, dedup_id="d") == {**first, "duplicate": True}
    await advance(api, DEDUP_MS_DEFAULT)
    assert "duplicate" not in await done(api, "POST", MESSAGES, 201, body=4, dedup_id="d")


async def test_a_batch_names_its_duplicates(api: Rest):
    messages = [{"body": 1, "dedup_id": "d"}, {"body": 2, "dedup_id": "d"}, {"body": 3}]
    answer = await done(api, "POST", f"{MESSAGES}:batch", messages=messages)
    assert answer["results"] == [{"id": 1}, {"id": 1, "duplicate": True}, {"id": 2}]


@pytest.mark.parametrize("field", ["group_id", "dedup_id"])
@pytest.mark.parametrize("text", ["", "x" * 129, "a\nb"])
async def test_ids_have_1_to_128_characters(api: Rest, field: str, text: str):
    assert (await refused(api, "POST", MESSAGES, 400, "invalid_value", body=1, **{field: text})).startswith(field)
    await done(api, "POST", MESSAGES, 201, body=1, **{field: "é" * 128})


async def test_attributes_are_handed_out_and_count_in_the_size(api: Rest):
    attributes = {"priority": "high", "é": ""}
    await done(api, "POST", MESSAGES, 201, body=1, attributes=attributes)
    assert (await api.receive())[0]["attributes"] == attributes
    size = BODY_BYTES_MAX - 1 - len("name")
    await done(api, "POST", MESSAGES, 201, body=1, attributes={"name": "x" * size})
    await refused(api, "POST", MESSAGES, 413, "body_too_large", body=1, attributes={"name": "x" * (size + 1)})


@pytest.mark.parametrize(
    "attributes", [{"": "x"}, {"a" * 257: "x"}, {"a": "\0"}, {str(n): "" for n in range(ATTRIBUTES_MAX + 1)}]
)
async def test_attributes_outside_their_limits_are_refused(api: Rest, attributes: dict):
    text = await refused(api, "POST", MESSAGES, 400, "invalid_value", body=1, attributes=attributes)
    assert text.startswith("attributes")


async def test_a_message_is_kept_for_four_days_or_as_long_as_it_says(api: Rest):
    await done(api, "POST", MESSAGES, 201, body="default")
    await done(api, "POST", MESSAGES, 201, body="longer", retention_ms=RETENTION_MS_MAX)
    await advance(api, RETENTION_MS_DEFAULT)
    assert [message["body"] for message in await api.receive()] == ["longer"]
    assert not await api.sweep.clear()
    stats = await done(api, "GET", f"{QUEUE}/stats")
    assert (stats["ready"], stats["in_flight"]) == (0, 1)


@pytest.mark.parametrize("retention_ms", [-1, 0, RETENTION_MS_MAX + 1])
async def test_a_retention_outside_its_limits_is_refused(api: Rest, retention_ms: int):
    for method, path, fields in (("POST", MESSAGES, {"body": 1}), ("PUT", QUEUE, {})):
        text = await refused(api, method, path, 400, "invalid_value", retention_ms=retention_ms, **fields)
        assert text.startswith("retention_ms must be ")


async def test_a_receive_tried_again_gets_the_same_messages(api: Rest):
    for n in range(4):
        await api.enqueue(body=n)
    first = await api.receive(max=2, attempt_id="try")
    assert await api.receive(max=2, attempt_id="try") == first
    assert [message["body"] for message in await api.receive(max=2, attempt_id="other")] == [2, 3]
    await advance(api, ATTEMPT_MS)
    assert await api.receive(attempt_id="try") != first


@pytest.mark.parametrize("text", ["", "x" * 129])
async def test_an_attempt_id_outside_its_limits_is_refused(api: Rest, text: str):
    assert (await refused(api, "POST", f"{QUEUE}:receive", 400, "invalid_value", attempt_id=text)).startswith(
        "attempt_id"
    )


async def test_a_purge_deletes_what_is_there_and_nothing_else(api: Rest):
    await api.enqueue(body="before")
    await api.receive()
    await api.enqueue(body="before")
    assert await done(api, "POST", f"{QUEUE}:purge") == {"ok": True}
    await api.enqueue(body="after")
    assert [message["body"] for message in await api.receive()] == ["after"]
    stats = await done(api, "GET", f"{QUEUE}/stats")
    assert (stats["enqueued_total"], stats["in_flight"]) == (3, 1)


async def test_a_deleted_queue_is_gone_with_its_messages(api: Rest):
    await done(api, "PUT", QUEUE, 201, max_retries=2)
    await api.enqueue()
    assert await done(api, "DELETE", QUEUE) == {"ok": True}
    await refused(api, "GET", QUEUE, 404, "queue_not_found")
    assert await api.receive() == []
    await api.enqueue(body="new")
    assert [message["body"] for message in await api.receive()] == ["new"]


async def test_a_paused_queue_gives_nothing_and_takes_everything(api: Rest):
    await api.enqueue()
    assert (await done(api, "POST", f"{QUEUE}:pause"))["paused"] is True
    await api.enqueue()
    assert await api.receive() == []
    assert (await done(api, "GET", QUEUE))["paused"] is True
    assert (await done(api, "POST", f"{QUEUE}:resume"))["paused"] is False
    assert len(await api.receive()) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", QUEUE),
        ("POST", f"{QUEUE}:purge"),
        ("POST", f"{QUEUE}:pause"),
        ("POST", f"{QUEUE}:resume"),
        ("POST", f"{QUEUE}:redrive"),
        ("GET", f"{QUEUE}/redrives"),
        ("POST", f"{QUEUE}/redrives/1:cancel"),
        ("GET", f"{QUEUE}/stats"),
        ("GET", MESSAGES),
    ],
)
async def test_a_queue_that_is_not_there_is_not_found(api: Rest, method: str, path: str):
    await refused(api, method, path, 404, "queue_not_found")
    bad = path.replace("orders", "a%20b")
    await refused(api, method, bad, 400, "invalid_value")


async def test_stats_count_states_and_what_happened(api: Rest):
    for fields in ({}, {}, {"delay": 5_000}):
        await api.enqueue(**fields)
    (message,) = await api.receive(max=1)
    await done(api, "POST", f"/v1/messages/{message['id']}:ack", receipt=message["receipt"])
    await advance(api, 1_000)
    assert await done(api, "GET", f"{QUEUE}/stats") == {
        "ready": 1,
        "delayed": 1,
        "in_flight": 0,
        "oldest_ready_age_ms": 1_000,
        "approximate": False,
        "enqueued_total": 3,
        "received_total": 1,
        "acked_total": 1,
        "dead_lettered_total": 0,
    }


async def test_a_peek_pages_through_all_states_and_shows_no_receipt(api: Rest):
    for fields in ({}, {}, {"delay": 5_000}, {}):
        await api.enqueue(**fields)
    await api.receive(max=1)
    seen: list[tuple[int, str]] = []
    after = ""
    while True:
        page = await done(api, "GET", f"{MESSAGES}?limit=2{after}")
        assert len(page["messages"]) <= 2
        assert all("receipt" not in message for message in page["messages"])
        seen += [(message["id"], message["state"]) for message in page["messages"]]
        if "after" not in page:
            break
        after = f"&after={page['after']}"
    assert seen == [(2, "ready"), (4, "ready"), (3, "delayed"), (1, "leased")]
    assert [m["id"] for m in (await done(api, "GET", f"{MESSAGES}?state=leased"))["messages"]] == [1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=gone", "state"),
        ("state=", "state"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("after=x", "after"),
        ("after=ready.1.x", "after"),
        (f"after=ready.{'9' * 30}.1", "after"),
        ("after=ready.1.1&state=leased", "after"),
    ],
)
async def test_a_peek_that_asks_wrongly_is_told_what(api: Rest, query: str, field: str):
    await api.enqueue()
    assert (await refused(api, "GET", f"{MESSAGES}?{query}", 400, "invalid_value")).startswith(field)


async def test_a_message_is_explained(api: Rest):
    message_id = await api.enqueue(delay=5_000, trace_id="t")
    delayed = await done(api, "GET", f"/v1/messages/{message_id}")
    assert (delayed["state"], delayed["code"], delayed["queue"]) == ("delayed", "delayed", "orders")
    assert (delayed["changes_at"], delayed["reason"]) == (
        "2026-01-01T00:00:05Z",
        "it is delayed until 2026-01-01T00:00:05.000Z",
    )
    await advance(api, 5_000)
    assert (await done(api, "GET", f"/v1/messages/{message_id}"))["code"] == "ready"
    await done(api, "POST", f"{QUEUE}:pause")
    assert (await done(api, "GET", f"/v1/messages/{message_id}"))["code"] == "queue_paused"
    await done(api, "POST", f"{QUEUE}:resume")
    (message,) = await api.receive()
    leased = await done(api, "GET", f"/v1/messages/{message_id}")
    assert (leased["code"], leased["lease_until"]) == ("leased", message["lease_until"])
    await done(api, "POST", f"/v1/messages/{message_id}:nack", receipt=message["receipt"], delay_ms=9, error="boom")
    waiting = await done(api, "GET", f"/v1/messages/{message_id}")
    assert (waiting["code"], waiting["last_error"], waiting["fence"]) == ("waiting_for_retry", "boom", 1)
    assert "receipt" not in waiting
    await refused(api, "GET", f"/v1/messages/{message_id + 1}", 404, "message_not_found")
    await refused(api, "GET", "/v1/messages/x", 400, "invalid_value")


async def test_a_message_behind_another_of_its_group_says_so(api: Rest):
    await done(api, "PUT", QUEUE, 201, fifo=True)
    first, second = [(await done(api, "POST", MESSAGES, 201, body=1, group_id="g"))["id"] for _ in range(2)]
    behind = await done(api, "GET", f"/v1/messages/{second}")
    assert (behind["code"], behind["blocked_by"]) == ("behind_in_group", first)


async def dead_letters(api: Rest, count: int) -> None:
    for n in range(count):
        await api.enqueue(body=n, dlq="dead", max_retries=1)
    await api.receive(max=count, visibility_ms=1)
    await advance(api, 1)
    await api.sweep.settle_due()


async def carry_out(api: Rest) -> None:
    task = await api.redriving._redrives.take(1_000)
    while task is not None:
        task = await api.redriving.step(task)


async def test_a_redrive_moves_dead_letters_to_where_they_came_from(api: Rest):
    await dead_letters(api, 3)
    started = await done(api, "POST", "/v1/queues/dead:redrive", 202, limit=2)
    assert (started["state"], started["moved"], started["limit"], started["queue"]) == ("running", 0, 2, "dead")
    await refused(api, "POST", "/v1/queues/dead:redrive", 409, "redrive_conflict")
    await carry_out(api)
    (ended,) = (await done(api, "GET", "/v1/queues/dead/redrives"))["redrives"]
    assert (ended["id"], ended["state"], ended["moved"]) == (started["id"], "completed", 2)
    await refused(api, "POST", f"/v1/queues/dead/redrives/{ended['id']}:cancel", 409, "redrive_conflict")
    back = await api.receive()
    assert [(message["body"], message["delivery_count"], message["fence"]) for message in back] == [
        (0, 1, 2),
        (1, 1, 2),
    ]
    assert all("origin_queue" not in message and message["dlq"] == "dead" for message in back)
    assert [message["body"] for message in await api.receive("dead")] == [2]


async def test_a_redrive_may_go_to_one_queue(api: Rest):
    await dead_letters(api, 1)
    await refused(api, "POST", "/v1/queues/dead:redrive", 404, "queue_not_found", to="nowhere")
    await refused(api, "POST", "/v1/queues/dead:redrive", 400, "invalid_value", to="dead")
    await done(api, "PUT", "/v1/queues/elsewhere", 201)
    assert (await done(api, "POST", "/v1/queues/dead:redrive", 202, to="elsewhere"))["to"] == "elsewhere"
    await carry_out(api)
    assert len(await api.receive("elsewhere")) == 1


@pytest.mark.parametrize(("field", "value"), [("max_per_second", 0), ("max_per_second", 10_001), ("limit", 0)])
async def test_a_redrive_outside_its_limits_is_refused(api: Rest, field: str, value: int):
    await dead_letters(api, 1)
    assert (await refused(api, "POST", "/v1/queues/dead:redrive", 400, "invalid_value", **{field: value})).startswith(
        field
    )


async def test_a_redrive_can_be_cancelled_while_it_runs(api: Rest):
    await dead_letters(api, 1)
    task = (await done(api, "POST", "/v1/queues/dead:redrive", 202))["id"]
    cancelled = await done(api, "POST", f"/v1/queues/dead/redrives/{task}:cancel")
    assert (cancelled["state"], cancelled["ended_at"]) == ("cancelled", "2026-01-01T00:00:00.001000Z")
    assert await done(api, "POST", f"/v1/queues/dead/redrives/{task}:cancel") == cancelled
    await refused(api, "POST", f"/v1/queues/dead/redrives/{task + 1}:cancel", 404, "redrive_not_found")
    await refused(api, "POST", "/v1/queues/dead/redrives/x:cancel", 400, "invalid_value")
    await carry_out(api)
    assert len(await api.receive("dead")) == 1
