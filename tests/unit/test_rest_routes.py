"""Which methods each path takes, and how the ids in paths are read."""

import pytest

from sqslite.domain.limits import MESSAGE_ID_MAX
from sqslite.entrypoints.http.openapi import document
from tests.unit.rest import Rest, rest

PATHS: dict[str, dict] = document()["paths"]
METHODS = {"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}
SHOWN = [path for path, methods in PATHS.items() if "get" in methods]
NO_IDS = ["x", "1.5", "-1", "+1", "1e3", "1_0", "0x1", "٣", "%201", "0", str(MESSAGE_ID_MAX + 1), "9" * 5_000]
ID_CALLS = [
    ("GET", "/v1/messages/{}", "the message id in the path"),
    ("POST", "/v1/messages/{}:ack", "the message id in the path"),
    ("POST", "/v1/messages/{}:nack", "the message id in the path"),
    ("POST", "/v1/messages/{}:extend", "the message id in the path"),
    ("POST", "/v1/queues/orders/redrives/{}:cancel", "the redrive's id in the path"),
]


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


def taken(path: str) -> set[str]:
    """The methods that a path takes: what can be got can be asked for without its body."""
    methods = {method.upper() for method in PATHS[path]}
    return methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


def filled(path: str) -> str:
    return path.replace("{queue}", "orders").replace("{id}", "1").replace("{task}", "1")


def refusals() -> list[tuple[str, str]]:
    return [(method, path) for path in PATHS for method in sorted(METHODS - taken(path))]


@pytest.mark.parametrize("path", PATHS)
async def test_options_names_every_method_of_the_path(api: Rest, path: str):
    answer = await api.client.options(filled(path))
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers["allow"].split(", ")) == taken(path)


@pytest.mark.parametrize(("method", "path"), refusals())
async def test_another_method_is_refused_with_the_ones_that_are_allowed(api: Rest, method: str, path: str):
    answer = await api.client.request(method, filled(path))
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == taken(path)
    if method != "HEAD":
        error = f"{method} is not allowed at {filled(path)}"
        assert answer.json() == {"error": error, "code": "method_not_allowed"}


@pytest.mark.parametrize("path", SHOWN)
async def test_what_can_be_got_can_be_asked_for_without_its_body(api: Rest, path: str):
    await api.enqueue()
    got, head = await api.client.get(filled(path)), await api.client.head(filled(path))
    assert (got.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize(("method", "path", "field"), ID_CALLS)
async def test_an_id_that_is_none_is_refused_with_what_is_allowed(api: Rest, method: str, path: str, field: str):
    for text in NO_IDS:
        answer = await api.client.request(method, path.format(text))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value"), text
        assert answer.json()["error"].startswith(f"{field} must be a whole number from 1 to {MESSAGE_ID_MAX}; got ")


@pytest.mark.parametrize("number", [1, MESSAGE_ID_MAX])
async def test_an_id_at_its_limits_is_looked_for(api: Rest, number: int):
    answer = await api.client.get(f"/v1/messages/{number}")
    error = f"message {number} does not exist (already acked, expired, or never enqueued)"
    assert (answer.status_code, answer.json()) == (404, {"error": error, "code": "message_not_found"})
    await api.client.put("/v1/queues/orders")
    answer = await api.client.post(f"/v1/queues/orders/redrives/{number}:cancel")
    error = f"redrive {number} does not exist"
    assert (answer.status_code, answer.json()) == (404, {"error": error, "code": "redrive_not_found"})


@pytest.mark.parametrize(
    "path",
    [
        "/v1/queues/orders:purge/",
        "/v1/queues/orders/:purge",
        "/v1/queues/orders:PURGE",
        "/v1/queues/orders:purge:purge",
        "/v1/queues/orders/stats:purge",
        "/v1/queues:purge",
        "/v1/queues/orders/redrives/1",
        "/v1/queues/orders/redrives:cancel",
        "/v1/queues/orders/redrives/:cancel",
        "/v1/messages/1:explain",
    ],
)
async def test_a_verb_counts_at_its_own_place_only(api: Rest, path: str):
    await api.enqueue()
    answer = await api.client.post(path)
    assert answer.status_code in (400, 404, 405), answer.text
    (message,) = await api.receive()
    assert message["id"] == 1


@pytest.mark.parametrize("verb", ["purge", "pause", "resume", "redrive", "receive"])
async def test_a_queue_name_with_a_colon_is_none(api: Rest, verb: str):
    answer = await api.client.post(f"/v1/queues/a:b:{verb}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")


@pytest.mark.parametrize("call", ["purge", "pause", "resume", "redrives/1:cancel"])
async def test_a_call_without_fields_takes_none(api: Rest, call: str):
    path = f"/v1/queues/orders{'/' if '/' in call else ':'}{call}"
    answer = await api.client.post(path, content=b'{"all":true}')
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": 'unknown field "all"; there are none', "code": "unknown_field"},
    )
    for content, error in (
        (b"[]", "the request body must be a JSON object; got []"),
        (b"null", "the request body must be a JSON object; got null"),
    ):
        answer = await api.client.post(path, content=content)
        assert (answer.status_code, answer.json()) == (400, {"error": error, "code": "invalid_value"})
    answer = await api.client.post(path, content=b"{")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
