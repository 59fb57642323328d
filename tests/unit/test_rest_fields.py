"""Every field of every call: what it takes, at its limits, and how its refusal reads."""

from datetime import timedelta

import pytest

from tests.unit.rest import Rest, rest

MESSAGES = "/v1/queues/orders/messages"
DELAY_MS_MAX = 14 * 24 * 3_600 * 1_000
VISIBILITY_MS_MAX = 12 * 3_600 * 1_000
MESSAGE_ID_MAX = 2**53 - 1

# Call, field, lowest, highest. Required fields beside it are filled in by `fields_of`.
NUMBERS = [
    ("enqueue", "delay", 0, DELAY_MS_MAX),
    ("enqueue", "max_retries", 0, 1_000),
    ("receive", "max", 1, 1_000),
    ("receive", "visibility_ms", 0, VISIBILITY_MS_MAX),
    ("nack", "delay_ms", 0, DELAY_MS_MAX),
    ("extend", "visibility_ms", 0, VISIBILITY_MS_MAX),
]
OPTIONAL = [(call, field) for call, field, _, _ in NUMBERS if call != "extend"] + [
    ("enqueue", "dlq"),
    ("enqueue", "trace_id"),
    ("ack", "receipt"),
    ("nack", "error"),
]
TEXTS = [("enqueue", "dlq"), ("enqueue", "trace_id"), ("ack", "receipt"), ("nack", "receipt"), ("nack", "error")]
REQUIRED = [("enqueue", "body"), ("nack", "receipt"), ("extend", "receipt"), ("extend", "visibility_ms")]
CALLS = ("enqueue", "receive", "ack", "nack", "extend")
NO_NUMBERS = ["1.0", "1.5", "1e2", "1e999", "-1e999", '"1"', "true", "[1]", '{"a":1}', "9" * 5_000]
NO_TEXTS = ["1", "1e999", "false", '["a"]', '{"a":"b"}']


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


async def path_and_fields(api: Rest, call: str) -> tuple[str, dict[str, str]]:
    """A call that succeeds: its path, and the JSON text of each field that it needs (an ack could do without any)."""
    if call == "enqueue":
        return MESSAGES, {"body": "1"}
    await api.enqueue()
    if call == "receive":
        return "/v1/queues/orders:receive", {}
    message = (await api.receive())[0]
    receipt = {"receipt": f'"{message["receipt"]}"'}
    return f"/v1/messages/{message['id']}:{call}", receipt | ({"visibility_ms": "1000"} if call == "extend" else {})


def as_json(fields: dict[str, str]) -> bytes:
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


async def answered(api: Rest, call: str, **fields: str) -> tuple[int, dict]:
    path, needed = await path_and_fields(api, call)
    answer = await api.post(path, as_json({**needed, **fields}))
    return answer.status_code, answer.json()


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_with_only_what_it_needs_succeeds(api, call):
    status, _ = await answered(api, call)
    assert status == (201 if call == "enqueue" else 200)


@pytest.mark.parametrize(("call", "field", "low", "high"), NUMBERS)
async def test_a_number_is_taken_at_its_bounds_and_refused_beyond_them(api, call, field, low, high):
    for value in (low, high):
        status, answer = await answered(api, call, **{field: str(value)})
        assert status < 300, answer
    for value in (low - 1, high + 1, -(2**70), 10**30):
        status, answer = await answered(api, call, **{field: str(value)})
        expected = {"error": f"{field} must be {low} to {high}; got {value}", "code": "invalid_value"}
        assert (status, answer) == (400, expected)


@pytest.mark.parametrize(("call", "field", "_low", "_high"), NUMBERS)
@pytest.mark.parametrize("text", NO_NUMBERS, ids=lambda text: text[:9])
async def test_what_is_no_whole_number_is_refused_by_name_and_value(api, call, field, _low, _high, text):
    status, answer = await answered(api, call, **{field: text})
    assert (status, answer["code"]) == (400, "invalid_value")
    assert answer["error"].startswith(f"{field} must be a whole number")
    assert f"; got {text[:80]}" in answer["error"]
    assert len(answer["error"]) < 200


@pytest.mark.parametrize(("call", "field"), TEXTS)
@pytest.mark.parametrize("text", NO_TEXTS)
async def test_what_is_no_text_is_refused_by_name_and_value(api, call, field, text):
    status, answer = await answered(api, call, **{field: text})
    assert (status, answer["code"]) == (400, "invalid_value")
    assert answer["error"].startswith(f"{field} must be a string")
    assert answer["error"].endswith(f"; got {text}")


@pytest.mark.parametrize(("call", "field"), OPTIONAL)
async def test_null_is_the_same_as_missing_for_an_optional_field(api, call, field):
    status, answer = await answered(api, call, **{field: "null"})
    assert status < 300, answer


@pytest.mark.parametrize(("call", "field"), REQUIRED)
async def test_null_is_refused_for_a_required_field(api, call, field):
    status, answer = await answered(api, call, **{field: "null"})
    assert (status, answer["code"]) == (400, "invalid_value")
    assert answer["error"].startswith(f"{field} must be ")
    assert answer["error"].endswith("; got null")


@pytest.mark.parametrize(("call", "field"), REQUIRED)
async def test_a_required_field_that_is_missing_is_named(api, call, field):
    path, needed = await path_and_fields(api, call)
    answer = await api.post(path, as_json({name: text for name, text in needed.items() if name != field}))
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_field")
    assert answer.json()["error"].startswith(f"the field {field} is required; known are ")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["colour", "Body", "delay_seconds", "", "a b", "a`b", "$", "ü", "x" * 5_000])
async def test_an_unknown_field_is_named_beside_the_known_ones(api, call, name):
    status, answer = await answered(api, call, **{name: '{"nested":[1]}'})
    assert (status, answer["code"]) == (400, "unknown_field")
    assert answer["error"].startswith(f'unknown field "{name[:70]}')
    assert "; known are " in answer["error"]
    assert len(answer["error"]) < 300


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("text", ["[]", "[{}]", "null", "1", '"{}"', "true", "1e999"])
async def test_a_request_that_is_no_object_is_refused(api, call, text):
    path, _ = await path_and_fields(api, call)
    answer = await api.post(path, text.encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert answer.json()["error"] == f"the request body must be a JSON object; got {text}"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"}",
        b"{'a':1}",
        b'{"a"}',
        b"nul",
        b"\xff",
        b"\x00",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
    ],
    ids=ascii,
)
async def test_what_is_no_json_is_refused(api, call, content):
    path, _ = await path_and_fields(api, call)
    answer = await api.post(path, content)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert answer.json()["error"].startswith("the request body must be ")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("rest_of_it", [b"x", b"{}", b",", b"\x00", b"\x0b"], ids=ascii)
async def test_nothing_may_follow_the_object(api, call, rest_of_it):
    path, needed = await path_and_fields(api, call)
    answer = await api.post(path, as_json(needed) + rest_of_it)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert (await api.post(path, b" \t\r\n" + as_json(needed) + b" \t\r\n")).status_code < 300


@pytest.mark.parametrize("behind", ["", ",", ',"body":}', "}}"])
async def test_a_wrong_type_before_what_is_no_json_is_refused(api, behind):
    answer = await api.post(MESSAGES, f'{{"delay":"x"{behind}'.encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert answer.json()["error"].startswith("delay must be a whole number or null; got ")


@pytest.mark.parametrize("call", ["receive", "ack"])
async def test_no_body_at_all_is_an_empty_object(api, call):
    path, _ = await path_and_fields(api, call)
    assert (await api.post(path, b"")).status_code == 200


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml"])
async def test_the_content_type_does_not_matter(api, content_type):
    headers = {"content-type": content_type} if content_type else {}
    answer = await api.client.post(MESSAGES, content=b'{"body":1}', headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize("name", ["a", "A-Z_0.9", "x" * 80, "...", "messages", "-"])
async def test_a_queue_name_is_taken_in_path_and_dlq(api, name):
    answer = await api.client.post(f"/v1/queues/{name}/messages", json={"body": 1, "dlq": f"{name[:79]}."})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("name", ["x" * 81, "a b", "a%2", "ü", "a:b", "a,b", "a\tb", "a\x00b", "a@b", "a*"])
async def test_a_bad_queue_name_is_refused_in_path_and_dlq(api, name):
    escaped = "".join(f"%{byte:02x}" for byte in name.encode())
    in_path = await api.post(f"/v1/queues/{escaped}/messages", b'{"body":1}')
    assert (in_path.status_code, in_path.json()["code"]) == (400, "invalid_value")
    assert in_path.json()["error"].startswith("queue must be 1 to 80 of the characters A-Z a-z 0-9 _ - .; got ")
    received = await api.post(f"/v1/queues/{escaped}:receive", b"{}")
    assert (received.status_code, received.json()) == (400, in_path.json())
    in_dlq = await api.client.post(MESSAGES, json={"body": 1, "dlq": name})
    assert (in_dlq.status_code, in_dlq.json()["code"]) == (400, "invalid_value")
    assert in_dlq.json()["error"].startswith("dlq must be 1 to 80 of the characters")


async def test_a_queue_cannot_be_its_own_dlq(api):
    status, answer = await answered(api, "enqueue", dlq='"orders"')
    assert (status, answer["error"]) == (400, 'dlq must be another queue than the message\'s own; got "orders"')


@pytest.mark.parametrize("text", ["x" * 256, "ü" * 256, "a b", "'\"\\"])
async def test_a_trace_id_comes_back_as_sent(api, text):
    await api.enqueue(trace_id=text)
    assert (await api.receive())[0]["trace_id"] == text


@pytest.mark.parametrize("text", ["x" * 257, "a\nb", "a\x00b", "\x7f"])
async def test_a_trace_id_that_is_too_long_or_unprintable_is_refused(api, text):
    answer = await api.client.post(MESSAGES, json={"body": 1, "trace_id": text})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert answer.json()["error"].startswith("trace_id must be ")


async def test_an_error_text_is_kept_up_to_its_limit_in_bytes(api):
    path, needed = await path_and_fields(api, "nack")
    for text in ("ü" * 2_049, "x" * 4_097):
        refused = await api.post(path, as_json({**needed, "error": f'"{text}"'}))
        assert refused.json()["error"].startswith("error must be at most 4096 bytes; got ")
        assert refused.status_code == 400
    assert (await api.post(path, as_json({**needed, "error": f'"{"ü" * 2_048}"'}))).status_code == 200
    assert (await api.receive())[0]["last_error"] == "ü" * 2_048


@pytest.mark.parametrize("call", ["ack", "nack", "extend"])
@pytest.mark.parametrize(
    "number", ["0", "-1", "+1", "1.0", "1e3", "x", "%20", "1%20", "%D9%A1", str(MESSAGE_ID_MAX + 1), "9" * 100, "%00"]
)
async def test_a_message_id_that_is_none_is_refused(api, call, number):
    _, needed = await path_and_fields(api, call)
    answer = await api.post(f"/v1/messages/{number}:{call}", as_json(needed))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert answer.json()["error"].startswith(
        f"the message id in the path must be a whole number from 1 to {MESSAGE_ID_MAX}"
    )


async def test_an_unknown_message_is_not_found(api):
    answer = await api.post(f"/v1/messages/{MESSAGE_ID_MAX}:ack", b"{}")
    assert (answer.status_code, answer.json()["code"]) == (404, "message_not_found")


@pytest.mark.parametrize("call", ["ack", "nack", "extend"])
@pytest.mark.parametrize("token", ["", "x", "AAAA", "ü", "A" * 50, "A" * 10_000, "\n"])
async def test_a_receipt_that_was_never_handed_out_is_refused(api, call, token):
    path, needed = await path_and_fields(api, call)
    shown = token.replace("\n", "\\n")
    answer = await api.post(path, as_json({**needed, "receipt": f'"{shown}"'}))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_receipt")
    assert answer.json()["error"].startswith("receipt must be a receipt as handed out by a receive; got ")


@pytest.mark.parametrize("call", ["ack", "nack", "extend"])
async def test_the_receipt_of_another_message_is_refused(api, call):
    path, needed = await path_and_fields(api, call)
    await api.enqueue()
    (other,) = await api.receive()
    answer = await api.post(path, as_json({**needed, "receipt": f'"{other["receipt"]}"'}))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_receipt")


@pytest.mark.parametrize("call", ["ack", "nack", "extend"])
async def test_a_superseded_receipt_is_stale(api, call):
    path, needed = await path_and_fields(api, call)
    await api.clock.advance(timedelta(hours=1))
    assert [message["delivery_count"] for message in await api.receive()] == [2]
    answer = await api.post(path, as_json(needed))
    assert (answer.status_code, answer.json()["code"]) == (409, "stale_receipt")
