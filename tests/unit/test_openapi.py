"""The OpenAPI document is valid, complete, and says what the application does."""

import re
from collections.abc import Iterator

import jsonschema_rs
import pytest
import schemathesis
from litestar import Litestar

from sqslite.domain import limits
from sqslite.domain.leases import Receipt
from sqslite.entrypoints.http.errors import STATUS
from sqslite.entrypoints.http.openapi import CALLS, document
from sqslite.entrypoints.http.shortcut import Shortcut
from sqslite.entrypoints.http.verbs import documented
from tests.unit.rest import rest

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
SHAPES = {name: schema for name, schema in SCHEMAS.items() if "properties" in schema}
FIELDS = [(shape, field) for shape, schema in SHAPES.items() for field in schema["properties"]]
# The document does not describe itself.
OWN_PATHS = {"/schema", "/schema/openapi.json"}


def operations() -> Iterator[tuple[str, str, dict]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def validator(schema: dict) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}, validate_formats=True)


def resolved(schema: dict) -> dict:
    reference = schema.get("$ref", "").removeprefix("#/components/schemas/")
    return {**SCHEMAS[reference], **schema} if reference else schema


async def router() -> Litestar:
    async with rest() as api:
        assert isinstance(api.app, Shortcut)
        return api.app._otherwise._app._app  # type: ignore[attr-defined]


def test_the_document_is_valid_openapi_3_1():
    assert DOCUMENT["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_the_validity_check_can_fail():
    broken = document()
    broken["paths"]["/healthz"]["get"]["responses"]["200"].pop("description")
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(broken).validate()


@pytest.mark.parametrize(("shape", "field"), FIELDS)
def test_every_field_has_a_description_and_an_example_that_is_valid(shape, field):
    schema = resolved(SCHEMAS[shape]["properties"][field])
    assert schema["description"].endswith(".")
    assert schema["examples"]
    for example in schema["examples"]:
        validator(schema).validate(example)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_a_sentence_of_its_own(shape):
    assert SCHEMAS[shape]["description"].endswith(".")


def test_the_example_of_a_receipt_is_one():
    (example,) = SCHEMAS["NackIn"]["properties"]["receipt"]["examples"]
    assert Receipt.parse(example).message_id == 123


def test_every_operation_has_a_name_a_summary_and_described_parameters():
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names) == len(CALLS)
    for path, _, operation in operations():
        assert re.fullmatch(r"[A-Z].*[.?]", operation["summary"])
        in_path = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        for parameter in operation["parameters"]:
            assert parameter["description"]
            validator(parameter["schema"]).validate(parameter["example"])


def test_every_operation_lists_the_errors_it_can_answer_with():
    reading = {400, 408, 413, 415, 503}
    listed = {operation["operationId"]: {int(s) for s in operation["responses"]} for _, _, operation in operations()}
    assert listed == {
        "enqueue": {200, 201, *reading},
        "receive": {200, 429, *reading},
        "ack": {200, 404, 409, *reading},
        "nack": {200, 404, 409, *reading},
        "extend": {200, 404, 409, *reading},
        "enqueue_batch": {200, *reading},
        "ack_batch": {200, *reading},
        "nack_batch": {200, *reading},
        "extend_batch": {200, *reading},
        "put_queue": {200, 201, 409, *reading},
        "delete_queue": {200, 400, 404, 503},
        "purge_queue": {200, 404, *reading},
        "pause_queue": {200, 404, *reading},
        "resume_queue": {200, 404, *reading},
        "queue_stats": {200, 400, 404, 503},
        "peek": {200, 400, 404, 503},
        "explain": {200, 400, 404, 503},
        "start_redrive": {202, 404, 409, *reading},
        "list_redrives": {200, 400, 404, 503},
        "cancel_redrive": {200, 404, 409, *reading},
        "get_queue": {200, 400, 404, 503},
        "list_queues": {200, 400, 503},
        "healthz": {200},
        "readyz": {200, 503},
        "metrics": {200},
    }
    # 405 is for a method that is not in the document, 403 for the calls of servers for tests, 500 is never on purpose.
    assert set(STATUS.values()) - {403, 405, 500} <= set().union(*listed.values())


def test_every_error_has_the_one_shape_of_errors():
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorOut"}


async def test_every_documented_path_is_routed_and_every_routed_path_documented():
    app = await router()
    routed = {re.sub(r"{(\w+):\w+}", r"{\1}", documented(route.path)) for route in app.routes}
    assert routed == set(DOCUMENT["paths"]) | OWN_PATHS


async def test_every_documented_operation_is_answered_by_its_handler():
    async with rest() as api:
        for path, method, _ in operations():
            await api.client.request(method, path.replace("{queue}", "orders").replace("{id}", "1"), content=b"{}")
        assert [route for _, route, _ in api.answered] == [path for path, _, _ in operations()]


@pytest.mark.parametrize("path", sorted(OWN_PATHS))
async def test_the_document_is_served_as_json(path):
    async with rest() as api:
        answer = await api.client.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == DOCUMENT


async def test_a_browser_is_shown_a_page():
    async with rest() as api:
        answer = await api.client.get("/schema", headers={"accept": "text/html,application/xhtml+xml"})
        assert answer.headers["content-type"].startswith("text/html")
        assert "/v1/queues/{queue}:receive" in answer.text


async def test_what_is_answered_is_what_is_documented():
    async with rest() as api:
        await api.enqueue(dlq="failed", trace_id="t", max_retries=1)
        received = await api.receive(visibility_ms=1)
        refused = await api.client.post("/v1/queues/orders/messages", content=b"")
        validator(SCHEMAS["MessageOut"]).validate(received[0])
        validator(SCHEMAS["ErrorOut"]).validate(refused.json())
        assert set(received[0]) <= set(SCHEMAS["MessageOut"]["properties"])


def test_the_queues_of_a_redrive_allow_are_names_and_few():
    shown = [
        shape["properties"]["redrive_allow"] for shape in SHAPES.values() if "redrive_allow" in shape["properties"]
    ]
    assert shown
    for field in shown:
        assert field["maxItems"] == limits.REDRIVE_SOURCES_MAX
        assert field["anyOf"][0]["items"]["pattern"] == limits.NAME_PATTERN
