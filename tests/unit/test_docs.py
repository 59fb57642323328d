"""The documentation says what the code says: settings, errors, fields, limits, metrics, commands, links."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.metrics import Exposition, PrometheusMetrics
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.domain import limits
from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints import server
from sqslite.entrypoints.cli import main
from sqslite.entrypoints.http import batches, reading, shapes
from sqslite.entrypoints.http.errors import STATUS
from sqslite.entrypoints.http.openapi import CALLS, Call, document
from sqslite.entrypoints.settings import VARIABLES, Settings, SettingsError, Variable

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
REST = ROOT / "docs" / "rest.md"
OPERATIONS = ROOT / "docs" / "operations.md"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TO_LIMIT = re.compile(r"must be (?:a whole number from )?(?P<allowed>.+); got", re.DOTALL)
# Names for numbers.
NOT_LIMITS = {"SECOND_MS", "DAY_MS"}


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


def section(page: Path, contains: str) -> str:
    (found,) = [part for part in re.split(r"^## ", page.read_text(), flags=re.MULTILINE)[1:] if contains in part]
    return found


def properties(shape: Any) -> dict[str, Any]:
    return document()["components"]["schemas"][shape.__name__]["properties"]


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
        shown = re.findall(r"-d '(.*?)'", section(REST, f"`{call.method.upper()} {call.path}`\n"), re.DOTALL)
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


@pytest.mark.parametrize("call", [call for call in CALLS if call.request], ids=lambda call: call.id)
def test_every_field_of_a_call_is_in_the_rest_reference_with_its_limits(call: Call):
    text = section(REST, f"`{call.method.upper()} {call.path}`\n")
    (answer,) = getattr(call.answer, "__args__", (call.answer,))
    requested, answered = text.split("| field |")[1:]
    for shape, table in ((call.request, requested), (answer, answered)):
        assert set(rows(table)) == set(properties(shape))
        for name, schema in properties(shape).items():
            limit = bounds(schema)
            if "maximum" in limit:
                assert f"{limit['minimum']} to {limit['maximum']}" in rows(table)[name][1], name
            if "maxLength" in limit:
                assert str(limit["maxLength"]) in rows(table)[name][1], name


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


def test_every_command_and_each_of_its_options_is_in_operations():
    documented = rows(section(OPERATIONS, "| command |"))
    assert set(documented) == {f"sqslite {name}" for name in main.commands}
    for name, command in main.commands.items():
        options = [option for parameter in command.params for option in parameter.opts]
        assert re.findall(r"`(--[\w-]+)`", documented[f"sqslite {name}"][0]) == options


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_that_is_named_exists(page):
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = "\n".join([*re.findall(r"`([^`\n]+)`", prose(page)), *code_blocks(page, "sh")])
    assert set(re.findall(r"(?:^|\s)make ([a-z-]+)", commands)) <= targets
