"""The documentation says what the code says: settings, errors, fields, limits, metrics, commands, links."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
import msgspec
import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.metrics import Exposition, PrometheusMetrics
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.domain import limits
from sqslite.domain.explain import Why
from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints import server
from sqslite.entrypoints.cli import main
from sqslite.entrypoints.http import batches, queues, reading
from sqslite.entrypoints.http.errors import STATUS
from sqslite.entrypoints.http.openapi import CALLS, Call, document
from sqslite.entrypoints.settings import VARIABLES, Settings, SettingsError, Variable
from sqslite.wire import queue_shapes, shapes

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
REST = ROOT / "docs" / "rest.md"
OPERATIONS = ROOT / "docs" / "operations.md"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TO_LIMIT = re.compile(r"must be (?:a whole number from )?(?P<allowed>.+); got", re.DOTALL)
# Names for numbers.
NOT_LIMITS = {"SECOND_MS", "DAY_MS"}
# The calls with answers that have fields, and the shapes that others extend.
DESCRIBED = [call for call in CALLS if call.answer is not str]
HOMELY = {queue_shapes.SeenOut}


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_blocks(page: Path, language: str) -> list[str]:
    return [text for named, text in FENCE.findall(page.read_text()) if named == language]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(prose(page))}


def rows(text: str) -> dict[str, list[str]]:
    """The tables' rows by their first cell, which stands in backticks; of several the last."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    return {row[0].strip(" `"): row[1:] for row in cells}


def tables_of(text: str, first_column: str) -> list[str]:
    """The tables whose first column is called so."""
    return [rest.split("\n\n")[0] for rest in text.split(f"\n| {first_column} |")[1:]]


def section(page: Path, contains: str) -> str:
    (found,) = [part for part in re.split(r"^## ", page.read_text(), flags=re.MULTILINE)[1:] if contains in part]
    return found


def properties(shape: Any) -> dict[str, Any]:
    return document()["components"]["schemas"][shape.__name__]["properties"]


def own_properties(shape: Any) -> dict[str, Any]:
    """Those that the shape has beyond what it extends, which has a table of its own."""
    extended = properties(shape.__base__) if shape.__base__ in HOMELY else {}
    return {name: schema for name, schema in properties(shape).items() if name not in extended}


def answered(call: Call) -> list[Any]:
    """The shapes that an answer has, those in its lists behind it; results of batches have a section of their own."""
    (shape,) = get_args(call.answer) or (call.answer,)
    items = [item for hint in get_type_hints(shape).values() for item in get_args(hint) if is_shape(item)]
    return [shape, *(item for item in items if item is not shapes.ResultOut)]


def is_shape(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def home(shape: Any) -> Call:
    """The first call that answers with a shape: its table stands there, and others may link to it instead."""
    return next(call for call in DESCRIBED if shape in answered(call))


def heading(call: Call) -> str:
    return f"`{call.method.upper()} {call.path}`\n"


def anchor(call: Call) -> str:
    return section(REST, heading(call)).splitlines()[0].lower().replace(" ", "-")


def queries(call: Call) -> list[dict[str, Any]]:
    return [parameter for parameter in call.parameters if parameter["in"] == "query"]


def assert_described(table: str, described: dict[str, Any]) -> None:
    """The table has these fields and no others, with their limits."""
    assert set(rows(table)) == set(described)
    for name, schema in described.items():
        limit = bounds(schema)
        if "maximum" in limit:
            assert f"{limit['minimum']} to {limit['maximum']}" in rows(table)[name][1], name
        if "maxLength" in limit:
            assert str(limit["maxLength"]) in rows(table)[name][1], name


def bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Minimum and maximum, wherever in the schema of an optional field they stand."""
    found = {key: schema[key] for key in ("minimum", "maximum", "maxLength") if key in schema}
    for option in schema.get("anyOf", []):
        found |= bounds(option)
    return found


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_somewhere(page):
    links = [(page.parent / target if target else page, anchor) for target, anchor in LINK.findall(prose(page))]
    dead = [str(target) for target, _ in links if not target.exists()]
    lost = [anchor for target, anchor in links if anchor and target.exists() and anchor not in anchors(target)]
    assert (dead, lost) == ([], [])


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_code_block_of_json_or_python_can_be_read(page):
    for text in code_blocks(page, "json"):
        json.loads(text)
    for text in code_blocks(page, "python"):
        ast.parse(text)


def test_every_request_shown_in_the_rest_reference_is_one_that_the_call_takes():
    for call in CALLS:
        if call.request is None:
            continue
        shown = re.findall(r"-d '(.*?)'", section(REST, heading(call)), re.DOTALL)
        assert shown
        for text in shown:
            reading.decode(text.encode(), call.request)


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_every_environment_variable_is_in_operations_with_its_default_and_range(variable: Variable):
    default_cell, allowed_cell, _meaning = rows(section(OPERATIONS, "| variable |"))[variable.name]
    default = getattr(Settings(), variable.field)
    shown = {True: "on", False: "off"}[default] if isinstance(default, bool) else str(default)
    assert default_cell == f"`{shown}`"

    with pytest.raises(SettingsError) as refusal:
        variable.parse(variable.name, "no such / value")
    allowed = TO_LIMIT.search(str(refusal.value))["allowed"].removeprefix("one of ")
    without_explanation = allowed.partition(" (")[0]
    assert allowed_cell.replace("`", "") == without_explanation


@pytest.mark.parametrize("code", STATUS)
def test_every_error_code_is_in_the_rest_reference_with_its_status(code):
    assert rows(section(REST, "| code | status |"))[code][0] == str(STATUS[code])


def test_the_rest_reference_names_no_error_code_that_does_not_exist():
    documented = {name for name, row in rows(section(REST, "| code | status |")).items() if row[0].isdigit()}
    assert documented == {str(code) for code in STATUS}


@pytest.mark.parametrize("call", DESCRIBED, ids=lambda call: call.id)
def test_every_field_of_a_call_is_in_the_rest_reference_with_its_limits(call: Call):
    text = section(REST, heading(call))
    tables = tables_of(text, "field")
    if call.request and properties(call.request):
        assert_described(tables.pop(0), properties(call.request))
    for shape in answered(call):
        if tables or home(shape) is call:
            assert_described(tables.pop(0), own_properties(shape))
        else:
            assert f"(#{anchor(home(shape))})" in text, shape
    assert tables == []


@pytest.mark.parametrize("call", [call for call in CALLS if queries(call)], ids=lambda call: call.id)
def test_every_parameter_of_a_query_is_in_the_rest_reference_with_its_limits(call: Call):
    (table,) = tables_of(section(REST, heading(call)), "in the query")
    documented = rows(table)
    assert list(documented) == [parameter["name"] for parameter in queries(call)]
    for parameter in queries(call):
        limits_cell, schema = documented[parameter["name"]][0], parameter["schema"]
        if "maximum" in schema:
            assert f"{schema['minimum']} to {schema['maximum']}" in limits_cell
        assert set(schema.get("enum", ())) <= set(re.findall(r"`(\w+)`", limits_cell))


def test_every_field_of_a_result_is_in_the_rest_reference():
    (table,) = tables_of(section(REST, "A batch has 1 to 1000 entries"), "field")
    assert_described(table, properties(shapes.ResultOut))


def test_every_code_of_an_explanation_is_in_the_rest_reference():
    (table,) = tables_of(REST.read_text(), "code in an explanation")
    assert set(rows(table)) == {str(code) for code in Why}


def test_the_fields_of_a_refusal_are_in_the_rest_reference():
    assert set(msgspec.structs.asdict(shapes.ErrorOut("", ""))) <= set(rows(section(REST, "| code | status |")))


def test_every_call_is_in_the_list_of_calls():
    listed = REST.read_text().split("## ")[0]
    assert {f"`{call.method.upper()} {call.path}`" for call in CALLS} == set(re.findall(r"\[(`.*?`)\]", listed))


def test_every_limit_is_in_the_rest_reference_with_its_value():
    documented = {name: int(row[0]) for name, row in rows(section(REST, "| name | value |")).items()}
    domain = {name: value for name, value in vars(limits).items() if name.isupper() and isinstance(value, int)}
    transport = {
        "ENVELOPE_BYTES_MAX": reading.ENVELOPE_BYTES_MAX,
        "SETTINGS_BYTES_MAX": queues.SETTINGS_BYTES_MAX,
        "ENQUEUE_BATCH_BYTES_MAX": batches.ENQUEUE_BATCH_BYTES_MAX,
        "CONTROL_BATCH_BYTES_MAX": batches.CONTROL_BATCH_BYTES_MAX,
        "BODY_READ_S_MAX": reading.BODY_READ_S_MAX,
        "HEADER_BYTES_MAX": server.HEADER_BYTES_MAX,
        "REQUESTS_AT_ONCE_MAX": server.REQUESTS_AT_ONCE_MAX,
        "WAITERS_MAX": server.WAITERS_MAX,
    }
    assert documented == {name: value for name, value in domain.items() if name not in NOT_LIMITS} | transport


async def test_every_metric_is_in_operations_and_no_other():
    clock = VirtualClock()
    backend = MemoryBackend(clock)
    await backend.catalog.ensure("orders", QueueSettings())
    exposition = Exposition(PrometheusMetrics(clock), backend.catalog, backend.stats, clock)
    exposed = re.findall(r"^# TYPE (\S+) ", (await exposition.render()).decode(), re.MULTILINE)
    assert set(rows(section(OPERATIONS, "| metric |"))) == set(exposed)


def test_every_command_and_each_of_its_options_is_documented():
    documented = rows((ROOT / "docs" / "cli.md").read_text())
    commands = dict(named_commands(main, "sqslite"))
    assert {name for name in documented if name.startswith("sqslite ")} == set(commands)
    for name, command in commands.items():
        options = [opt for parameter in command.params if isinstance(parameter, click.Option) for opt in parameter.opts]
        assert re.findall(r"`(--[\w-]+)`", documented[name][0]) == options, name


def named_commands(group: click.Group, before: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from named_commands(command, f"{before} {name}")
        else:
            yield f"{before} {name}", command


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_that_is_named_exists(page):
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = "\n".join([*re.findall(r"`([^`\n]+)`", prose(page)), *code_blocks(page, "sh")])
    assert set(re.findall(r"(?:^|\s)make ([a-z-]+)", commands)) <= targets
