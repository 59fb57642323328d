"""Batch calls over REST: a result for each entry in order, one bad entry fails alone, no success that is not true."""

import json

import pytest

from sqslite.adapters.stores.faulty import Fault, FaultyStore
from tests.unit.node import Plan
from tests.unit.rest import BODY_BYTES_MAX, Rest, rest

BATCH = "/v1/queues/orders/messages:batch"
FIELD = {BATCH: "messages", "/v1/messages:ack": "acks", "/v1/messages:nack": "nacks", "/v1/messages:extend": "extends"}
OK = {"ok": True}


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


async def call(api: Rest, path: str, *entries: object) -> list[dict]:
    """The results of a batch; entries that are bytes are sent as they are."""
    texts = [entry if isinstance(entry, bytes) else json.dumps(entry).encode() for entry in entries]
    answer = await api.post(path, f'{{"{FIELD[path]}":['.encode() + b",".join(texts) + b"]}")
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert len(results) == len(entries)
    assert all(("error" in result) == ("code" in result) for result in results)
    return results


async def ack(api: Rest, *entries: object) -> list[dict]:
    return await call(api, "/v1/messages:ack", *entries)


async def nack(api: Rest, *entries: object) -> list[dict]:
    return await call(api, "/v1/messages:nack", *entries)


async def extend(api: Rest, *entries: object) -> list[dict]:
    return await call(api, "/v1/messages:extend", *entries)


async def enqueued(api: Rest, *entries: object) -> list[dict]:
    return await call(api, BATCH, *entries)


def codes(results: list[dict]) -> list[str | None]:
    return [result.get("code") for result in results]


async def leased(api: Rest, count: int, queue: str = "orders") -> list[dict]:
    for n in range(count):
        await api.enqueue(queue, body=n)
    return await api.receive(queue, max=count)


# What holds for every batch


@pytest.mark.parametrize("path", FIELD)
@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_batch_of_none_or_of_too_many_is_refused_as_a_whole(api: Rest, path: str, count: int):
    answer = await api.post(path, json.dumps({FIELD[path]: [{"body": 1}] * count}).encode())
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": f"the number of {FIELD[path]} must be 1 to 1000; got {count}", "code": "invalid_value"},
    )
    assert await api.receive() == []


@pytest.mark.parametrize("path", FIELD)
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", "missing_field"),
        ("{}", "missing_field"),
        ('{"FIELD":null}', "invalid_value"),
        ('{"FIELD":{}}', "invalid_value"),
        ('{"FIELD":[{"body":1}],"nope":1}', "unknown_field"),
        ('{"FIELD":[{"body":1},]}', "invalid_json"),
        ('{"FIELD":[{"body":1}', "invalid_json"),
        ("[]", "invalid_value"),
    ],
)
async def test_what_is_no_batch_is_refused_as_a_whole(api: Rest, path: str, sent: str, code: str):
    answer = await api.post(path, sent.replace("FIELD", FIELD[path]).encode())
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await api.receive() == []


@pytest.mark.parametrize("path", FIELD)
@pytest.mark.parametrize("entry", ["null", "1", "[]", '"x"', "true"])
async def test_an_entry_that_is_no_object_fails_alone(api: Rest, path: str, entry: str):
    (message,) = await leased(api, 1)
    sound = {BATCH: {"body": 1}, "/v1/messages:extend": {"receipt": message["receipt"], "visibility_ms": 1_000}}
    first, last = await call(api, path, entry.encode(), sound.get(path, {"receipt": message["receipt"]}))
    assert first == {"error": f"the entry must be a JSON object; got {entry}", "code": "invalid_value"}
    assert "error" not in last


# Enqueue

GOOD = b'{"body":{"b":1.0,"a":"\\u0000"},"delay":0,"max_retries":null,"dlq":"dead","trace_id":"t"}'
BAD_MESSAGES = [
    (b'{"body":1,"x":1}', "unknown_field", 'unknown field "x"; known are body, body_kind, delay, max_retries, dlq'),
    (b"{}", "missing_field", "the field body is required"),
    (b'{"body":null}', "invalid_value", "body must be any JSON value except null; got null"),
    (b'{"body":1,"delay":"1"}', "invalid_value", 'delay must be a whole number or null; got "1"'),
    (b'{"body":1,"delay":-1}', "invalid_value", "delay must be 0 to "),
    (b'{"body":1,"delay":1e999}', "invalid_value", "delay must be a whole number or null; got 1e999"),
    (b'{"body":1,"max_retries":1001}', "invalid_value", "max_retries must be 0 to 1000; got 1001"),
    (b'{"body":1,"dlq":"a b"}', "invalid_value", "dlq must be 1 to 80"),
    (b'{"body":1,"dlq":"orders"}', "invalid_value", "dlq must be another queue"),
    (b'{"body":1,"trace_id":"\\u0000"}', "invalid_value", "trace_id must be free of control characters"),
    (b'{"body":1,"body_kind":"xml"}', "invalid_value", 'body_kind must be one of json, text, binary; got "xml"'),
    (b'{"body":"%","body_kind":"binary"}', "invalid_value", "body must be "),
    (b'{"body":"' + b"x" * BODY_BYTES_MAX + b'"}', "body_too_large", f"body must be at most {BODY_BYTES_MAX} bytes"),
]


@pytest.mark.parametrize(("bad", "code", "start"), BAD_MESSAGES)
async def test_a_bad_message_fails_alone(api: Rest, bad: bytes, code: str, start: str):
    first, refused, last = await enqueued(api, GOOD, bad, b'{"body":2}')
    assert refused["code"] == code
    assert refused["error"].startswith(start)
    assert set(refused) == {"error", "code"}
    assert (set(first), set(last)) == ({"id"}, {"id"})
    assert [message["id"] for message in await api.receive()] == [first["id"], last["id"]]


async def test_every_entry_may_be_bad(api: Rest):
    results = await enqueued(api, *[bad for bad, _, _ in BAD_MESSAGES])
    assert codes(results) == [code for _, code, _ in BAD_MESSAGES]
    assert (await api.client.get("/v1/queues")).json() == {"queues": []}


async def test_messages_are_kept_in_order_and_as_they_were_sent(api: Rest):
    results = await enqueued(api, GOOD, b'{"body":1.50}', b'{"body":"x","body_kind":"text","delay":5000}')
    ids = [result["id"] for result in results]
    assert ids == sorted(set(ids))
    answer = await api.post("/v1/queues/orders:receive", b"")
    assert b'"body":{"b":1.0,"a":"\\u0000"}' in answer.content
    assert b'"body":1.50' in answer.content
    assert [(m["id"], m.get("dlq"), m.get("trace_id")) for m in answer.json()] == [
        (ids[0], "dead", "t"),
        (ids[1], None, None),
    ]


async def test_a_queues_body_limit_refuses_that_entry_alone(api: Rest):
    await api.client.put("/v1/queues/orders", json={"body_bytes_max": 3})
    assert codes(await enqueued(api, b'{"body":123}', b'{"body":1234}', b'{"body":12}')) == [
        None,
        "body_too_large",
        None,
    ]


async def test_a_bad_queue_name_is_refused_as_a_whole(api: Rest):
    answer = await api.post("/v1/queues/a%20b/messages:batch", b'{"messages":[{"body":1}]}')
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")


async def test_a_thousand_messages_are_enqueued_extended_nacked_and_acked(api: Rest):
    ids = [result["id"] for result in await enqueued(api, *[{"body": n} for n in range(1_000)])]
    messages = await api.receive(max=1_000)
    assert [(message["id"], message["body"]) for message in messages] == list(zip(ids, range(1_000), strict=True))
    receipts = [{"receipt": message["receipt"]} for message in messages]
    extended = await extend(api, *[{**receipt, "visibility_ms": 60_000} for receipt in receipts])
    assert {result["lease_until"] for result in extended} == {"2026-01-01T00:01:00Z"}
    assert await nack(api, *receipts) == [OK] * 1_000
    assert await ack(api, *receipts) == [OK] * 1_000
    assert codes(await ack(api, *receipts)) == ["message_not_found"] * 1_000


# Ack, nack, extend


async def test_an_ack_is_by_receipt_by_id_or_by_both(api: Rest):
    one, two, three, four = await leased(api, 4)
    results = await ack(
        api,
        {"receipt": one["receipt"]},
        {"id": two["id"]},
        {"id": three["id"], "receipt": three["receipt"]},
        {"id": four["id"], "receipt": None},
    )
    assert results == [OK] * 4
    results = await ack(api, *[{"id": message["id"]} for message in (one, two, three, four)])
    assert codes(results) == ["message_not_found"] * 4


async def test_faults_of_acks_stand_in_their_entries_places(api: Rest):
    one, two, kept = await leased(api, 3)
    results = await ack(
        api,
        {"receipt": "nonsense"},
        {"id": one["id"]},
        {},
        {"id": None, "receipt": None},
        {"id": kept["id"], "receipt": two["receipt"]},
        {"receipt": two["receipt"]},
        {"id": 0},
        {"id": 2**53},
        {"id": "1"},
        {"id": 999},
        {"id": kept["id"], "delay_ms": 1},
    )
    invalid = "invalid_value"
    assert codes(results) == [
        "invalid_receipt",
        None,
        "missing_field",
        "missing_field",
        "invalid_receipt",
        None,
        invalid,
        invalid,
        invalid,
        "message_not_found",
        "unknown_field",
    ]
    assert results[2]["error"] == "the field receipt is required where there is no id"
    assert results[6]["error"] == f"id must be 1 to {2**53 - 1}; got 0"
    assert await ack(api, {"receipt": kept["receipt"]}) == [OK]


@pytest.mark.parametrize("verb", ["ack", "nack", "extend"])
async def test_stale_missing_and_foreign_receipts_fail_alone(api: Rest, verb: str):
    (old,) = await leased(api, 1)
    await nack(api, {"receipt": old["receipt"], "delay_ms": 0})
    (current,) = await api.receive()
    (gone,) = await leased(api, 1, "other")
    await ack(api, {"receipt": gone["receipt"]})
    (good,) = await leased(api, 1, "third")
    wish = {"visibility_ms": 1_000} if verb == "extend" else {}
    results = await call(
        api,
        f"/v1/messages:{verb}",
        {"receipt": gone["receipt"], **wish},
        {"receipt": old["receipt"], **wish},
        {"id": good["id"], "receipt": current["receipt"], **wish},
        {"receipt": good["receipt"], **wish},
        {"id": current["id"], "receipt": current["receipt"], **wish},
    )
    assert codes(results) == ["message_not_found", "stale_receipt", "invalid_receipt", None, None]


async def test_one_batch_reaches_into_many_queues_and_answers_in_the_order_asked(api: Rest):
    messages = [(await leased(api, 1, queue))[0] for queue in "abcabc"]
    extends = [{"receipt": m["receipt"], "visibility_ms": 1_000 * n} for n, m in enumerate(messages)]
    results = await extend(api, *extends)
    assert [result["lease_until"] for result in results] == [f"2026-01-01T00:00:0{n}Z" for n in range(6)]
    # The first was released by its 0.
    assert await ack(api, *[{"receipt": m["receipt"]} for m in reversed(messages)]) == [OK] * 6


@pytest.mark.parametrize("verb", ["ack", "nack", "extend"])
async def test_an_entry_given_twice_is_carried_out_once(api: Rest, verb: str):
    one, other = await leased(api, 2)
    entry = {"receipt": one["receipt"]} | ({"visibility_ms": 1_000} if verb == "extend" else {})
    results = await call(api, f"/v1/messages:{verb}", entry, entry)
    assert results[0] == results[1]
    assert "error" not in results[0]
    assert await ack(api, {"receipt": other["receipt"]}) == [OK]
    if verb == "nack":
        assert [message["delivery_count"] for message in await api.receive()] == [2]


async def test_a_nack_to_the_dlq_needs_one(api: Rest):
    await api.enqueue(dlq="failed")
    await api.enqueue()
    with_dlq, without = await api.receive()
    results = await nack(
        api,
        {"receipt": with_dlq["receipt"], "dead_letter": True},
        {"receipt": without["receipt"], "dead_letter": True},
        {"receipt": without["receipt"], "dead_letter": "yes"},
    )
    assert codes(results) == [None, "invalid_value", "invalid_value"]
    assert results[1]["error"] == "dead_letter must be false for a message without a dlq; got true"
    assert [dead["id"] for dead in await api.receive("failed")] == [with_dlq["id"]]


async def test_a_nack_carries_the_wishes_of_its_own_entry(api: Rest):
    messages = await leased(api, 4)
    results = await nack(
        api,
        {"receipt": messages[0]["receipt"], "delay_ms": 0, "error": "boom"},
        {"receipt": messages[1]["receipt"], "delay_ms": -1},
        {"receipt": messages[2]["receipt"], "error": "x" * 4_097},
        {"receipt": messages[3]["receipt"], "delay_ms": 60_000},
        {"id": messages[1]["id"]},
    )
    assert codes(results) == [None, "invalid_value", "invalid_value", None, "missing_field"]
    assert [(m["id"], m["last_error"]) for m in await api.receive()] == [(messages[0]["id"], "boom")]


@pytest.mark.parametrize("visibility_ms", ["-1", "43200001", "null", '"1"', "1.5"])
async def test_an_extension_out_of_range_fails_alone(api: Rest, visibility_ms: str):
    one, other = await leased(api, 2)
    bad, good = await extend(
        api,
        f'{{"receipt":"{one["receipt"]}","visibility_ms":{visibility_ms}}}'.encode(),
        {"receipt": other["receipt"], "visibility_ms": 90_000},
    )
    assert bad["code"] == "invalid_value"
    assert bad["error"].startswith("visibility_ms must be ")
    assert good == {"lease_until": "2026-01-01T00:01:30Z"}


# A store that fails


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNKNOWN_UNDONE, Fault.UNKNOWN_DONE])
async def test_a_batch_of_messages_that_the_store_does_not_take_is_no_success(fault: Fault):
    plan = Plan(fault)
    async with rest(lambda store: FaultyStore(store, plan)) as api:
        answer = await api.post(BATCH, b'{"messages":[{"body":1},{},{"body":2}]}')
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["code"] == ("store_unavailable" if fault is Fault.REFUSED else "outcome_unknown")
        assert len(await api.receive()) == (2 if fault is Fault.UNKNOWN_DONE else 0)


@pytest.mark.parametrize("verb", ["ack", "nack", "extend"])
@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNKNOWN_UNDONE, Fault.UNKNOWN_DONE])
async def test_a_store_that_fails_for_one_queue_fails_the_entries_of_that_queue_alone(verb: str, fault: Fault):
    plan = Plan()
    async with rest(lambda store: FaultyStore(store, plan)) as api:
        a, b = [(await leased(api, 1, queue))[0] for queue in "ab"]
        plan.faults.append(fault)
        wish = {"visibility_ms": 1_000} if verb == "extend" else {}
        results = await call(
            api,
            f"/v1/messages:{verb}",
            *[{"receipt": m["receipt"], **wish} for m in (a, b, a)],
            {"receipt": "x", **wish},
        )
        code = "store_unavailable" if fault is Fault.REFUSED else "outcome_unknown"
        assert codes(results) == [code, None, code, "invalid_receipt"]
        undone = verb != "ack" or fault is not Fault.UNKNOWN_DONE
        assert codes(await ack(api, *[{"receipt": m["receipt"]} for m in (a, b)])) == [
            None if undone else "message_not_found",
            "message_not_found" if verb == "ack" else None,
        ]


async def test_acks_by_id_that_the_store_refuses_do_not_hide_the_acks_by_receipt_beside_them():
    plan = Plan()
    async with rest(lambda store: FaultyStore(store, plan)) as api:
        one, two = await leased(api, 2)
        plan.faults.extend([Fault.NONE, Fault.REFUSED])
        assert codes(await ack(api, {"id": two["id"]}, {"receipt": one["receipt"]})) == ["store_unavailable", None]
        assert codes(await ack(api, {"id": two["id"]}, {"receipt": one["receipt"]})) == [None, "message_not_found"]
        plan.faults.append(Fault.REFUSED)
        assert (await api.post("/v1/messages/1:ack", b"")).status_code == 503
