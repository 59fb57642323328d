"""Values that storages stumble over: refused by name, or kept and shown as they were sent, on every store alike."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from sqslite.domain.limits import ATTRIBUTE_NAME_CHARS_MAX, ATTRIBUTES_MAX, GROUP_ID_CHARS_MAX, MESSAGE_ID_MAX
from tests.integration.server_process import ServerProcess, serving

LONGEST = "\U0001f600" * GROUP_ID_CHARS_MAX
KEPT = [
    "a",
    " ",
    "'; DROP TABLE messages; --",
    "%s %(id)s $1 ? :x {x} \\ \\x00 %",
    "\u200b\u202e\ufeff\ufffe",
    "e\u0301",
    "é",
    "ﬁ",
    "\U0010ffff",
    "null",
    "NaN",
    "0" * GROUP_ID_CHARS_MAX,
    LONGEST,
]
REFUSED = ["", "\0", "a\0b", "\n", "\x7f", "\x85", "\x1b[31m", f"{LONGEST}a", "x" * 60_000]
TEXT_FIELDS = ["group_id", "dedup_id"]
# As JSON writes them: half of a pair, alone, doubled, turned round.
SURROGATES = ['"\\ud800"', '"a\\udfff"', '"\\ud800\\ud800"', '"\\udc00\\ud800"']
TOKENS = [
    "x",
    ".",
    "..",
    "...",
    "ready",
    "ready.1",
    "ready.1.",
    "ready..1",
    "ready.1.1.1",
    "READY.1.1",
    "ready_in_dlq.1.1",
    "gone.1.1",
    "ready.-1.1",
    "ready.1.-1",
    "ready.1e3.1",
    "ready.0x1.1",
    "ready.1_0.1",
    "ready. 1.1",
    "ready.٣.1",
    f"ready.1.{MESSAGE_ID_MAX + 1}",
    f"ready.{'9' * 18}.1",
    f"ready.{'9' * 40}.1",
    f"ready.{'9' * 5_000}.1",
    f"leased.1.{'9' * 5_000}",
    "ready.1.1\0",
    "ready.1.1'--",
    "\ud800".encode("utf-8", "surrogatepass"),
]
FAR = [f"{state}.{at}.{number}" for state in ("ready", "delayed", "leased") for at, number in (
    ("0", "0"), ("0", MESSAGE_ID_MAX), ("253402300799999999", MESSAGE_ID_MAX), ("00000000000000001", "0000001"),
)]  # fmt: skip
NUMBERS = ["-1", "0", str(2**31), str(2**53), str(2**63 - 1), str(2**63), str(-(2**63) - 1), "9" * 400, "1e400", "1.5"]
NUMBER_FIELDS = [
    ("POST", "/messages", '"body":1,"retention_ms"'),
    ("POST", "/messages", '"body":1,"delay"'),
    ("POST", ":redrive", '"max_per_second"'),
    ("POST", ":redrive", '"limit"'),
    ("PUT", "", '"retention_ms"'),
    ("PUT", "", '"dedup_ms"'),
    ("PUT", "", '"visibility_ms"'),
]


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    url = {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{folder}/hostile.db",
        "postgres": lambda: str(request.getfixturevalue("postgres_url")),
    }[request.param]()
    with serving(url, folder) as server:
        yield server
        assert "request_failed" not in server.log_text()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def queue() -> str:
    return f"/v1/queues/hostile-{uuid4().hex[:8]}"


def assert_refused(answer: httpx.Response, *codes: str) -> str:
    assert 400 <= answer.status_code < 500, answer.text
    assert set(answer.json()) == {"error", "code"}
    assert answer.json()["code"] in codes
    assert len(answer.content) < 600
    return answer.json()["error"]


@pytest.mark.parametrize("settings", [{}, {"fifo": True}, {"fair": True}], ids=["standard", "fifo", "fair"])
def test_a_text_that_is_allowed_is_kept_and_shown_as_it_was_sent(client: httpx.Client, queue: str, settings: dict):
    client.put(queue, json=settings)
    sent = [{"group_id": text, "dedup_id": text, "attributes": {text: f"{text}\n"}} for text in KEPT]
    for fields in sent:
        answer = client.post(f"{queue}/messages", json={"body": 1, **fields})
        assert answer.status_code == 201, answer.text
        again = client.post(f"{queue}/messages", json={"body": 1, **fields})
        assert (again.status_code, again.json()) == (200, {**answer.json(), "duplicate": True})
    peeked = client.get(f"{queue}/messages").json()["messages"]
    received = client.post(f"{queue}:receive", json={"max": 100, "attempt_id": LONGEST}).json()
    again = client.post(f"{queue}:receive", json={"max": 100, "attempt_id": LONGEST}).json()
    # Only their leases are longer now.
    assert [m | {"lease_until": r["lease_until"]} for m, r in zip(again, received, strict=True)] == received
    for messages in (peeked, received):
        shown = {message["group_id"]: message["attributes"] for message in messages}
        assert shown == {fields["group_id"]: fields["attributes"] for fields in sent}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_a_text_that_is_not_allowed_is_refused_by_the_name_of_its_field(client: httpx.Client, queue: str, text: str):
    for field in TEXT_FIELDS:
        answer = client.post(f"{queue}/messages", json={"body": 1, field: text})
        assert assert_refused(answer, "invalid_value").startswith(f"{field} must be ")
    answer = client.post(f"{queue}:receive", json={"attempt_id": text})
    # A receive as a whole has fewer bytes than the longest of these.
    assert assert_refused(answer, "invalid_value", "request_too_large")
    if len(text) < ATTRIBUTE_NAME_CHARS_MAX // 2:
        answer = client.post(f"{queue}/messages", json={"body": 1, "attributes": {text * 2: "x"}})
        assert assert_refused(answer, "invalid_value").startswith("attributes must be ")
    assert client.get(queue).status_code == 404


@pytest.mark.parametrize("text", SURROGATES)
def test_half_of_a_surrogate_pair_is_refused(client: httpx.Client, queue: str, text: str):
    for fields in (
        f'"group_id":{text}',
        f'"dedup_id":{text}',
        f'"attributes":{{{text}:"x"}}',
        f'"attributes":{{"x":{text}}}',
    ):
        answer = client.post(f"{queue}/messages", content=f'{{"body":1,{fields}}}')
        assert_refused(answer, "invalid_json", "invalid_value")
    assert_refused(client.post(f"{queue}:receive", content=f'{{"attempt_id":{text}}}'), "invalid_json", "invalid_value")
    assert_refused(client.post(f"{queue}:redrive", content=f'{{"to":{text}}}'), "invalid_json", "invalid_value")


@pytest.mark.parametrize(
    "attributes",
    [
        {"a": "\0"},
        {"": "x"},
        {"a\n": "x"},
        {"a" * (ATTRIBUTE_NAME_CHARS_MAX + 1): "x"},
        {str(n): "x" for n in range(ATTRIBUTES_MAX + 1)},
        {"a": 1},
        {"a": None},
        {"a": {"a": "a"}},
        [],
        None,
        "a",
        1,
    ],
    ids=range(12),
)
def test_attributes_that_are_none_are_refused_by_name(client: httpx.Client, queue: str, attributes: object):
    answer = client.post(f"{queue}/messages", json={"body": 1, "attributes": attributes})
    assert assert_refused(answer, "invalid_value").startswith("attributes")


def test_attributes_count_in_the_size(client: httpx.Client, queue: str):
    answer = client.post(f"{queue}/messages", json={"body": 1, "attributes": {"a": "x" * 1_048_575}})
    assert_refused(answer, "body_too_large")
    answer = client.post(f"{queue}/messages", json={"body": 1, "attributes": {"a": "x" * 1_048_574}})
    assert answer.status_code == 201
    (message,) = client.get(f"{queue}/messages").json()["messages"]
    assert len(message["attributes"]["a"]) == 1_048_574


@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
def test_a_token_that_no_page_answered_is_refused(client: httpx.Client, queue: str, token: str | bytes):
    client.put(queue)
    answer = client.get(f"{queue}/messages", params={"after": token})
    assert assert_refused(answer, "invalid_value").startswith("after must be what the page before it answered")


@pytest.mark.parametrize("token", FAR)
def test_a_token_from_far_away_leads_to_a_page(client: httpx.Client, queue: str, token: str):
    client.post(f"{queue}/messages", json={"body": 1})
    answer = client.get(f"{queue}/messages", params={"after": token})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["messages"]) == (1 if token.startswith("ready.0") else 0)


@pytest.mark.parametrize("text", NUMBERS, ids=range(len(NUMBERS)))
@pytest.mark.parametrize(("method", "path", "field"), NUMBER_FIELDS)
def test_a_number_beyond_all_bounds_is_refused_by_the_name_of_its_field(
    client: httpx.Client, queue: str, method: str, path: str, field: str, text: str
):
    client.put(queue)
    answer = client.request(method, f"{queue}{path}", content=f"{{{field}:{text}}}")
    if answer.status_code >= 300:
        name = field.rsplit(",", 1)[-1].strip('"')
        assert assert_refused(answer, "invalid_value").startswith(f"{name} must be ")
    else:
        assert (field.endswith('"delay"') and text == "0") or (field == '"limit"' and text == str(2**31))


@pytest.mark.parametrize("query", ["limit=%00", "limit=1%00", "state=%ff", "state=ready%00", "after=%ff", "limit=+1"])
def test_a_query_of_nonsense_is_refused(client: httpx.Client, queue: str, query: str):
    client.put(queue)
    assert_refused(client.get(f"{queue}/messages?{query}"), "invalid_value")


@pytest.mark.parametrize("query", ["%00=%00", "%ff", "&&&", "=", "limit", "state&x=1", "a=" + "b" * 20_000])
def test_what_a_query_says_beside_its_fields_does_no_harm(client: httpx.Client, queue: str, query: str):
    client.put(queue)
    for path in ("", "/messages", "/stats", "/redrives"):
        answer = client.get(f"{queue}{path}?{query}")
        assert answer.status_code in (200, 400), answer.text


def test_a_body_on_a_call_that_takes_none_does_no_harm(server: ServerProcess, client: httpx.Client, queue: str):
    client.put(queue)
    for method, path in (("GET", "/stats"), ("GET", "/messages"), ("GET", "/redrives"), ("DELETE", "")):
        # On a connection of its own: the server hangs up on what it need not read.
        with server.client() as once:
            answer = once.request(method, f"{queue}{path}", content=b"\xff" * 100_000)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "body", [b"\xff", b'{"x":1}', b"[" * 60_000, b'{"limit":' + b"9" * 60_000 + b"}", b"x" * 200_000]
)
def test_a_redrive_or_purge_with_a_hostile_body_does_nothing(client: httpx.Client, queue: str, body: bytes):
    client.post(f"{queue}/messages", json={"body": 1})
    for verb in ("purge", "pause", "resume", "redrive"):
        answer = client.post(f"{queue}:{verb}", content=body)
        assert_refused(answer, "invalid_json", "unknown_field", "invalid_value", "request_too_large")
    assert client.get(f"{queue}/redrives").json() == {"redrives": []}
    assert client.get(queue).json()["paused"] is False
    assert client.get(f"{queue}/stats").json()["ready"] == 1


def test_every_answer_is_json_that_can_be_read(client: httpx.Client, queue: str):
    client.post(f"{queue}/messages", json={"body": "\u2028", "body_kind": "text", "group_id": LONGEST})
    for path in (queue, f"{queue}/stats", f"{queue}/messages", f"{queue}/redrives", "/v1/queues"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "application/json"
        json.loads(answer.content)
