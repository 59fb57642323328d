"""Bodies over REST come back byte for byte, whatever JSON text they are; text and binary come back as sent."""

import base64
import json

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.rest import BODY_BYTES_MAX, Rest, rest

MESSAGES = "/v1/queues/orders/messages"
RECEIVE = "/v1/queues/orders:receive"

spaces = st.text(st.sampled_from(" \t\n\r"), max_size=3)
numbers = st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?\Z")
escapes = st.one_of(
    st.sampled_from([rf"\{char}" for char in '"\\/bfnrt']),
    st.from_regex(r"\A\\u(0000|00[0-9a-f]{2}|[0-9A-C][0-9a-fA-F]{3}|[eEfF][0-9a-fA-F]{3})\Z"),
    st.from_regex(r"\A\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}\Z"),
)
plain = st.characters(min_codepoint=0x20, exclude_characters='"\\', exclude_categories=["Cs"])
strings = st.lists(plain | escapes, max_size=6).map(lambda parts: f'"{"".join(parts)}"')
names = st.sampled_from(['"a"', '"A"', r'"\u0061"', '""', '"body"', '"null"']) | strings


def padded(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(spaces, texts, spaces).map("".join)


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.tuples(padded(names), padded(inner)).map(":".join)
    return st.one_of(
        st.lists(padded(inner), max_size=4).map(lambda items: f"[{','.join(items)}]"),
        st.lists(members, max_size=4).map(lambda items: f"{{{','.join(items)}}}"),
        spaces.map(lambda text: f"[{text}]"),
        spaces.map(lambda text: f"{{{text}}}"),
    )


json_texts = padded(
    st.recursive(numbers | strings | st.sampled_from(["true", "false", "null"]), containers, max_leaves=8)
)
CHARACTERS = "{}[],:\"\\u01-+.a' \n\x00\x7f\u2028\ufeff"
WORDS = [r"\ud83d", r"\ude00", r"\u0000", "e9", "null", "true", "NaN", "Infinity", "/*", "//"]
near_json = st.lists(st.sampled_from([*CHARACTERS, *WORDS]), max_size=8).map("".join)


# One application for all examples: the clock stands still, so what one example received the next does not see.
EXAMPLES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


class Received(msgspec.Struct):
    body: msgspec.Raw
    body_kind: str = "json"


def refused_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def parsed(text: str) -> object:
    """What Python reads; objects as lists, so that no duplicate is lost. Raises ValueError."""
    return json.loads(text, parse_constant=refused_constant, object_pairs_hook=list)


def has_unpaired_surrogate(text: str) -> bool:
    try:
        json.dumps(parsed(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


async def sent(api: Rest, text: str):
    return await api.post(MESSAGES, b'{"body":' + text.encode() + b"}")


async def received_body(api: Rest) -> bytes:
    answer = await api.post(RECEIVE, b"{}")
    (message,) = msgspec.json.decode(answer.content, type=list[Received])
    # Once more, cut out of the answer itself, because a decoder might have a hand in what it gives out.
    assert b'"body":' + bytes(message.body) + b',"receipt":' in answer.content
    return bytes(message.body)


@settings(EXAMPLES, max_examples=150)
@given(text=json_texts)
async def test_any_json_text_but_null_comes_back_byte_for_byte(api, text):
    assume(len(text.encode()) <= BODY_BYTES_MAX)
    parsed(text)
    answer = await sent(api, text)
    if text.strip() == "null":
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    else:
        assert answer.status_code == 201, answer.text
        # White space around the value is the envelope's.
        assert await received_body(api) == text.strip(" \t\n\r").encode()


@settings(EXAMPLES, max_examples=300)
@given(text=near_json)
async def test_what_python_reads_is_taken_verbatim_and_all_else_is_refused(api, text):
    try:
        value = parsed(text)
    except ValueError:
        try:
            parsed(f'{{"body":{text}}}')
        except ValueError:
            fine = False
        else:
            # Not one value but several fields, such as `1,"a":1`: another test's subject.
            return
    else:
        fine = value is not None and not has_unpaired_surrogate(text)
    answer = await sent(api, text)
    if fine:
        assert answer.status_code == 201, answer.text
        assert await received_body(api) == text.strip(" \t\n\r").encode()
    else:
        assert answer.status_code == 400
        assert answer.json()["code"] in ("invalid_json", "invalid_value", "unknown_field", "missing_field")
        assert await api.receive() == []


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2,"a":{"a":3,"a":4}}',
        "1.0",
        "-0",
        "-0.0e-0",
        "1E+2",
        "1e999",
        "123456789012345678901234567890.12345678901234567890",
        "9" * 4_000,
        "0.1e-4000",
        r'"\u0041\/\u000a\u0000"',
        '"\u2028\u2029\x7f\ufeff\U0001f600"',
        r'"\ud83d\ude00"',
        r'"\\ud800"',
        "[ 1 ,\n\t2 ]",
        "{ }",
        '""',
        "false",
        "0",
        '"null"',
        "[null]",
        '{"":null}',
        "[" * 900 + "]" * 900,
    ],
    ids=lambda text: ascii(text[:30]),
)
async def test_odd_json_comes_back_byte_for_byte(api, text):
    answer = await sent(api, text)
    assert answer.status_code == 201, answer.text
    assert await received_body(api) == text.encode()


@pytest.mark.parametrize(
    "text",
    [r'"\ud800"', r'"\udfff"', r'"\ud800\ud800"', r'"\ude00\ud83d"', r'"\ud800x"', r'{"\udc00":1}', r'["a","\uDBFF"]'],
)
@pytest.mark.parametrize("kind", ["json", "text", "binary"])
async def test_an_unpaired_surrogate_is_refused(api, text, kind):
    answer = await api.post(MESSAGES, f'{{"body":{text},"body_kind":"{kind}"}}'.encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert "surrogate" in answer.json()["error"]


@pytest.mark.parametrize(
    "content", [b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'{"\x80":1}', b'["\xf5"]'], ids=ascii
)
async def test_a_body_that_is_no_utf_8_is_refused(api, content):
    answer = await api.post(MESSAGES, b'{"body":' + content + b"}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert answer.json()["error"].startswith("the request body must be UTF-8: ")


@pytest.mark.parametrize("depth", [1_001, 2_000, 7_000])
async def test_a_body_nested_too_deeply_is_refused(api, depth):
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = opening * depth + "1" + closing * depth
        if len(text) < 16_000:
            answer = await sent(api, text)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
            assert answer.json()["error"] == "the request body is nested too deeply"


@pytest.mark.parametrize("null", ["null", " null ", "\n\tnull\r\n"])
async def test_null_is_no_body(api, null):
    answer = await sent(api, null)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "body must be any JSON value except null; got null", "code": "invalid_value"},
    )


async def test_of_a_field_given_twice_the_last_counts(api):
    assert (await api.post(MESSAGES, b'{"body":1,"body":{"b": 2}}')).status_code == 201
    assert await received_body(api) == b'{"b": 2}'


@settings(EXAMPLES, max_examples=100)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
async def test_a_text_comes_back_as_a_string(api, text):
    answer = await api.client.post(MESSAGES, json={"body": text, "body_kind": "text"})
    assert answer.status_code == 201, answer.text
    (message,) = await api.receive()
    assert (message["body"], message["body_kind"]) == (text, "text")


@settings(EXAMPLES, max_examples=100)
@given(content=st.binary(min_size=1, max_size=50))
async def test_bytes_come_back_as_base64(api, content):
    encoded = base64.b64encode(content).decode()
    answer = await api.client.post(MESSAGES, json={"body": encoded, "body_kind": "binary"})
    assert answer.status_code == 201, answer.text
    (message,) = await api.receive()
    assert (message["body"], message["body_kind"]) == (encoded, "binary")


async def test_a_json_body_does_not_say_its_kind(api):
    await api.enqueue(body={"a": 1}, body_kind="json")
    assert "body_kind" not in (await api.receive())[0]


@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("text", ["1", "1e999", "true", "[1]", '{"a":1}', "null", "[1e999]"])
async def test_a_body_that_does_not_fit_its_kind_is_refused(api, kind, text):
    answer = await api.post(MESSAGES, f'{{"body":{text},"body_kind":"{kind}"}}'.encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert answer.json()["error"] == f"body must be a string when body_kind is {kind}; got {text}"


@pytest.mark.parametrize("text", ["a", "a===", "YQ", "YQ=", "Y Q==", "YQ==\n", "ü", "-_8=", "YQ==YQ=="])
async def test_what_is_no_base64_is_refused(api, text):
    answer = await api.client.post(MESSAGES, json={"body": text, "body_kind": "binary"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert answer.json()["error"].startswith("body must be base64 when body_kind is binary; got ")


@pytest.mark.parametrize("kind", ["text", "binary"])
async def test_an_empty_text_or_binary_is_refused(api, kind):
    answer = await api.client.post(MESSAGES, json={"body": "", "body_kind": kind})
    assert answer.json() == {"error": 'body must be at least one byte long; got ""', "code": "invalid_value"}


@pytest.mark.parametrize("text", ['"Json"', '""', "null", "1", "1e999", '["json"]', "true"])
async def test_an_unknown_kind_is_refused_with_the_known_ones(api, text):
    answer = await api.post(MESSAGES, f'{{"body":1,"body_kind":{text}}}'.encode())
    expected = f"body_kind must be one of json, text, binary; got {text}"
    assert (answer.status_code, answer.json()) == (400, {"error": expected, "code": "invalid_value"})


async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(api):
    fits = f'"{"x" * (BODY_BYTES_MAX - 2)}"'
    assert (await sent(api, fits)).status_code == 201
    answer = await sent(api, fits[:-1] + 'x"')
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.json()["error"] == (
        f"body must be at most {BODY_BYTES_MAX} bytes, attributes included; got {BODY_BYTES_MAX + 1} bytes"
    )


async def test_the_limit_counts_the_bytes_of_a_text_and_not_its_escapes(api):
    escaped = "\\u0061" * (BODY_BYTES_MAX // 2)
    answer = await api.post(MESSAGES, f'{{"body":"{escaped}","body_kind":"text"}}'.encode())
    assert answer.status_code == 201, answer.text
