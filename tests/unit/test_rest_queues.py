"""Queue settings over REST: every field at its limits, what a PUT makes of them, how queues are listed."""

from datetime import timedelta

import pytest

from sqslite.domain.limits import (
    DEDUP_MS_MAX,
    DELAY_MS_MAX,
    IN_FLIGHT_CEILING,
    MAX_RETRIES_MAX,
    RETENTION_MS_MAX,
    VISIBILITY_MS_MAX,
    WAIT_MS_MAX,
)
from tests.unit.rest import BODY_BYTES_MAX, Rest, rest

QUEUE = "/v1/queues/orders"
START = "2026-01-01T00:00:00Z"
BACKOFF = {"kind": "none", "base_ms": 1_000, "factor": 2.0, "max_ms": 86_400_000, "jitter": 0.0}
UNSET_SETTINGS = {
    "fifo": False,
    "fair": False,
    "retention_ms": None,
    "dedup_ms": None,
    "dedup_scope": "queue",
    "dedup_by_content": False,
    "paused": False,
    "visibility_ms": None,
    "delay_ms": None,
    "max_retries": None,
    "dlq": None,
    "receive_wait_ms": None,
    "body_bytes_max": None,
    "backoff": BACKOFF,
    "in_flight_max": None,
    "redrive_allow": None,
    "tags": {},
    "annotations": {},
    "created_at": START,
    "changed_at": START,
    "purged_at": None,
}
NUMBERS = [
    ("visibility_ms", 1, VISIBILITY_MS_MAX),
    ("delay_ms", 0, DELAY_MS_MAX),
    ("max_retries", 1, MAX_RETRIES_MAX),
    ("receive_wait_ms", 0, WAIT_MS_MAX),
    ("dedup_ms", 1, DEDUP_MS_MAX),
    ("retention_ms", 1, RETENTION_MS_MAX),
    ("body_bytes_max", 1, BODY_BYTES_MAX),
    ("in_flight_max", 1, IN_FLIGHT_CEILING),
]
BACKOFF_NUMBERS = [
    ("base_ms", 0, DELAY_MS_MAX, 1),
    ("factor", 1, 1_000, 0.5),
    ("max_ms", 0, DELAY_MS_MAX, 1),
    ("jitter", 0, 1, 0.01),
]


@pytest.fixture
async def api():
    async with rest() as api:
        yield api


async def put(api: Rest, text: bytes, path: str = QUEUE) -> tuple[int, dict]:
    answer = await api.client.put(path, content=text)
    return answer.status_code, answer.json()


async def refused(api: Rest, text: bytes, code: str = "invalid_value") -> str:
    """The error text of a PUT that changes nothing."""
    status, answer = await put(api, text)
    assert (status, answer["code"]) == (400, code)
    assert (await api.client.get(QUEUE)).status_code == 404
    return answer["error"]


@pytest.mark.parametrize(("field", "low", "high"), NUMBERS)
async def test_a_number_may_be_at_its_limits_and_not_beyond(api: Rest, field: str, low: int, high: int):
    for outside in (low - 1, high + 1, -(10**30), 10**30):
        text = await refused(api, f'{{"{field}":{outside}}}'.encode())
        assert text.startswith(f"{field} must be ")
    for inside in (low, high):
        _, answer = await put(api, f'{{"{field}":{inside}}}'.encode())
        assert answer[field] == inside


@pytest.mark.parametrize(("field", "low", "high", "step"), BACKOFF_NUMBERS)
async def test_a_number_of_the_backoff_is_refused_by_its_full_name(
    api: Rest, field: str, low: int, high: int, step: float
):
    for outside in (low - step, high + step):
        text = await refused(api, f'{{"backoff":{{"{field}":{outside}}}}}'.encode())
        assert text == f"backoff.{field} must be {low} to {high}; got {outside}"
    for inside in (low, high):
        _, answer = await put(api, f'{{"backoff":{{"{field}":{inside}}}}}'.encode())
        assert answer["backoff"] == {**BACKOFF, field: inside}


@pytest.mark.parametrize("field", [field for field, _, _ in NUMBERS] + ["dlq", "redrive_allow"])
async def test_null_means_the_services_default_as_missing_does(api: Rest, field: str):
    await put(api, b'{"visibility_ms":5,"delay_ms":5,"max_retries":5,"dlq":"d","receive_wait_ms":5,"body_bytes_max":5}')
    status, answer = await put(api, f'{{"{field}":null}}'.encode())
    assert (status, answer) == (200, {"name": "orders", **UNSET_SETTINGS})


@pytest.mark.parametrize("field", [field for field, _, _ in NUMBERS])
@pytest.mark.parametrize("sent", ["1.0", '"1"', "true", "[1]", "{}", "1e999"])
async def test_what_is_no_whole_number_is_refused_by_the_name_of_its_field(api: Rest, field: str, sent: str):
    assert await refused(api, f'{{"{field}":{sent}}}'.encode()) == (
        f"{field} must be a whole number or null; got {sent}"
    )


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ('{"kind":"random"}', 'backoff.kind must be one of none, fixed, linear, exponential; got "random"'),
        ('{"kind":1}', "backoff.kind must be one of none, fixed, linear, exponential; got 1"),
        ('{"kind":null}', "backoff.kind must be one of none, fixed, linear, exponential; got null"),
        ('{"base_ms":1.5}', "backoff.base_ms must be a whole number; got 1.5"),
        ('{"base_ms":null}', "backoff.base_ms must be a whole number; got null"),
        ('{"base_ms":1e999}', "backoff.base_ms must be a whole number; got 1e999"),
        ('{"max_ms":"1"}', 'backoff.max_ms must be a whole number; got "1"'),
        ('{"jitter":"1"}', 'backoff.jitter must be a number; got "1"'),
        ('{"factor":1e999}', "backoff.factor must be a number; got 1e999"),
        ("null", "backoff must be a JSON object; got null"),
        ("[]", "backoff must be a JSON object; got []"),
        ('"exponential"', 'backoff must be a JSON object; got "exponential"'),
    ],
)
async def test_a_wrong_backoff_is_refused_by_the_name_of_its_field(api: Rest, sent: str, text: str):
    assert await refused(api, f'{{"backoff":{sent}}}'.encode()) == text


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ('{"a":1}', 'tags[...] must be a string; got {"a":1}'),
        ('{"a.b":null}', 'tags[...] must be a string; got {"a.b":null}'),
        ("[]", "tags must be a JSON object; got []"),
        ("null", "tags must be a JSON object; got null"),
        ('{"":"x"}', 'tags must be named: a key has at least one character; got ""'),
        ('{"a\\u0000":"x"}', 'tags must be free of control characters; got "a\\u0000"'),
        ('{"a":"\\n"}', 'tags.a must be free of control characters; got "\\n"'),
    ],
)
async def test_wrong_tags_are_refused_by_name(api: Rest, sent: str, text: str):
    assert await refused(api, f'{{"tags":{sent}}}'.encode()) == text


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ('{"a":1}', 'annotations[...] must be a string; got {"a":1}'),
        ("null", "annotations must be a JSON object; got null"),
        ('{"":"x"}', 'annotations must be 1 to 128 characters; got ""'),
        ('{"a\\n":"x"}', 'annotations must be free of control characters; got "a\\n"'),
        ('{"a":"\\u0000"}', 'annotations.a must be free of NUL and of lone surrogates; got "\\u0000"'),
    ],
)
async def test_wrong_annotations_are_refused_by_name(api: Rest, sent: str, text: str):
    assert await refused(api, f'{{"annotations":{sent}}}'.encode()) == text


async def test_annotations_may_be_as_many_and_as_long_as_their_limits(api: Rest):
    most = {f"{n:0128}": "\n" for n in range(49)} | {"é": "é" * ((64 * 1024 - 49) // 2) + "x"}
    assert sum(len(value.encode()) for value in most.values()) == 64 * 1024
    answer = await api.client.put(QUEUE, json={"annotations": most})
    assert (answer.status_code, answer.json()["annotations"]) == (201, most)
    for bad, start in (
        ({**most, "one": ""}, "annotations must be at most 50 annotations; got 51"),
        ({**most, "é": most["é"] + "x"}, "annotations must be at most 65536 bytes, all values together; got 65537"),
        ({"k" * 129: ""}, "annotations must be at most 128 characters; got "),
    ):
        answer = await api.client.put(QUEUE, json={"annotations": bad})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(start)
    assert (await api.client.get(QUEUE)).json()["annotations"] == most


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ('"all"', 'redrive_allow must be a JSON array or null; got "all"'),
        ("[1]", "redrive_allow[0] must be a string; got [1]"),
        ('["a b"]', 'redrive_allow must be 1 to 80 of the characters A-Z a-z 0-9 _ - .; got "a b"'),
        (f"{[str(n) for n in range(11)]}".replace("'", '"'), "redrive_allow must be at most 10 queues; got 11"),
    ],
)
async def test_wrong_sources_of_dead_letters_are_refused_by_name(api: Rest, sent: str, text: str):
    assert await refused(api, f'{{"redrive_allow":{sent}}}'.encode()) == text


async def test_a_queue_that_a_dead_letter_queue_does_not_allow_cannot_have_it(api: Rest):
    dead = "/v1/queues/dead"
    for allowed, status in (([], 400), (["returns"], 400), (["returns", "orders"], 201), (None, 200)):
        assert (await api.client.put(dead, json={"redrive_allow": allowed})).json()["redrive_allow"] == allowed
        answer = await api.client.put(QUEUE, json={"dlq": "dead"})
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["error"] == 'dlq must be a queue whose redrive_allow allows orders; got "dead"'
            assert (await api.client.get(QUEUE)).status_code == 404


async def test_a_queue_shows_when_it_was_created_changed_and_purged(api: Rest):
    await put(api, b"")
    api.clock.shift(timedelta(seconds=1))
    changed = (await put(api, b'{"delay_ms":1}'))[1]
    api.clock.shift(timedelta(seconds=1))
    await api.client.post(f"{QUEUE}:purge")
    shown = (await api.client.get(QUEUE)).json()
    assert shown == {**changed, "purged_at": "2026-01-01T00:00:02Z"}
    assert (shown["created_at"], shown["changed_at"]) == (START, "2026-01-01T00:00:01Z")


async def test_tags_may_be_as_many_and_as_long_as_their_limits(api: Rest):
    tags = {f"{n:0128}": "é" * 256 for n in range(50)}
    answer = await api.client.put(QUEUE, json={"tags": tags})
    assert (answer.status_code, answer.json()["tags"]) == (201, tags)
    for bad, start in (
        ({**tags, "one": "more"}, "tags must be at most 50 tags; got 51"),
        ({"k" * 129: ""}, "tags must be at most 128 characters; got "),
        ({"key": "v" * 257}, "tags.key must be at most 256 characters; got "),
    ):
        answer = await api.client.put(QUEUE, json={"tags": bad})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(start)
    assert (await api.client.get(QUEUE)).json()["tags"] == tags


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (
            b'{"nope":1}',
            (
                "fifo, fair, visibility_ms, delay_ms, max_retries, dlq, retention_ms, dedup_ms, dedup_scope, "
                "dedup_by_content, receive_wait_ms, body_bytes_max, backoff, tags, in_flight_max, redrive_allow, "
                "annotations"
            ),
        ),
        (b'{"backoff":{"nope":1}}', "kind, base_ms, factor, max_ms, jitter"),
    ],
)
async def test_an_unknown_field_is_refused_by_name_beside_those_that_are_known_there(
    api: Rest, text: bytes, known: str
):
    assert await refused(api, text, "unknown_field") == f'unknown field "nope"; known are {known}'


@pytest.mark.parametrize(
    ("sent", "start"),
    [('"orders"', "dlq must be another queue than this one; got "), ('"a b"', "dlq must be "), ('""', "dlq must be ")],
)
async def test_a_queue_is_not_its_own_dead_letter_queue_and_names_a_real_one(api: Rest, sent: str, start: str):
    assert (await refused(api, f'{{"dlq":{sent}}}'.encode())).startswith(start)


@pytest.mark.parametrize("text", [b"[]", b"null", b"1", b"{", b"\xff"])
async def test_settings_are_a_json_object(api: Rest, text: bytes):
    assert (await put(api, text))[0] == 400
    assert (await api.client.get(QUEUE)).status_code == 404


@pytest.mark.parametrize("name", ["a%20b", "x" * 81, "%C3%A9"])
async def test_a_bad_queue_name_is_refused(api: Rest, name: str):
    for method in ("PUT", "GET"):
        answer = await api.client.request(method, f"/v1/queues/{name}")
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("queue must be 1 to 80 of the characters")


async def test_a_put_creates_the_queue_once_and_then_replaces_every_setting(api: Rest):
    first = {"delay_ms": 7, "tags": {"team": "billing"}, "backoff": {"kind": "fixed", "base_ms": 5}}
    answer = await api.client.put(QUEUE, json=first)
    shown = {"name": "orders", **UNSET_SETTINGS, **first, "backoff": {**BACKOFF, **first["backoff"]}}
    assert (answer.status_code, answer.json()) == (201, shown)
    assert (await api.client.get(QUEUE)).json() == shown
    answer = await api.client.put(QUEUE, json={"dlq": "dead"})
    shown = {"name": "orders", **UNSET_SETTINGS, "dlq": "dead"}
    assert (answer.status_code, answer.json()) == (200, shown)
    assert (await api.client.get(QUEUE)).json() == shown
    assert await put(api, b"") == (200, {"name": "orders", **UNSET_SETTINGS})


async def test_a_queue_that_came_with_its_first_message_is_there_and_its_messages_outlive_a_put(api: Rest):
    message_id = await api.enqueue()
    assert (await api.client.get(QUEUE)).json() == {"name": "orders", **UNSET_SETTINGS}
    assert (await put(api, b'{"visibility_ms":5}'))[0] == 200
    assert [message["id"] for message in await api.receive()] == [message_id]


async def test_a_queue_that_does_not_exist_is_not_found(api: Rest):
    answer = await api.client.get(QUEUE)
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "queue orders does not exist", "code": "queue_not_found"},
    )
    assert (await api.client.head(QUEUE)).status_code == 404


async def page(api: Rest, **query: object) -> tuple[list[str], str | None]:
    answer = await api.client.get("/v1/queues", params=query)
    assert answer.status_code == 200, answer.text
    return [queue["name"] for queue in answer.json()["queues"]], answer.json().get("after")


async def test_queues_are_listed_by_name_a_page_at_a_time(api: Rest):
    assert await page(api) == ([], None)
    names = ["B", "a", "a.1", "a_2", "b", "c"]
    for name in reversed(names):
        await put(api, b'{"delay_ms":3}', f"/v1/queues/{name}")
    assert await page(api) == (names, None)
    assert await page(api, limit=4) == (names[:4], "a_2")
    assert await page(api, limit=4, after="a_2") == (names[4:], None)
    assert await page(api, after="aa") == (["b", "c"], None)
    assert await page(api, prefix="a") == (["a", "a.1", "a_2"], None)
    assert await page(api, prefix="a", limit=1, after="a") == (["a.1"], "a.1")
    assert await page(api, prefix="a.", after="b") == ([], None)
    assert await page(api, prefix="", after="", limit=1_000) == (names, None)
    (shown,) = (await api.client.get("/v1/queues", params={"prefix": "c"})).json()["queues"]
    assert shown == {"name": "c", **UNSET_SETTINGS, "delay_ms": 3}


async def test_a_page_has_a_hundred_queues_where_nobody_says(api: Rest):
    for n in range(101):
        await put(api, b"", f"/v1/queues/q{n:03}")
    names, after = await page(api)
    assert (len(names), after) == (100, "q099")
    assert await page(api, after=after) == (["q100"], None)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1.0", "1e1", "9" * 5_000, "٣"])
async def test_a_limit_that_is_none_is_refused_by_name(api: Rest, limit: str):
    answer = await api.client.get("/v1/queues", params={"limit": limit})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert answer.json()["error"].startswith("limit must be ")


@pytest.mark.parametrize("field", ["prefix", "after"])
async def test_what_no_queue_is_called_is_refused_by_the_name_of_its_field(api: Rest, field: str):
    for text in ("a b", "x" * 81, "é", "a\0"):
        answer = await api.client.get("/v1/queues", params={field: text})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(f"{field} must be 1 to 80 of the characters")
