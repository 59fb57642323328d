"""docs/grpc.md says what the code says."""

import re

import pytest

from sqslite.entrypoints import server as rest_server
from sqslite.entrypoints.grpc import consuming, receiving, server
from sqslite.entrypoints.grpc.errors import STATUS
from tests.unit.test_docs import ROOT, rows, section

PAGE = ROOT / "docs" / "grpc.md"


def test_every_code_is_there_with_its_status_and_no_other():
    documented = {code: cells[0].strip("`") for code, cells in rows(section(PAGE, "| code | gRPC status |")).items()}
    assert documented == {str(code): status.name for code, status in STATUS.items()}


def test_every_call_is_there_and_no_other():
    (table,) = re.findall(r"\| call \|.*?\n\n", PAGE.read_text(), re.DOTALL)
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:] if line]
    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == set(server.SERVICE.methods_by_name)


@pytest.mark.parametrize(
    ("name", "cells"), rows(section(PAGE, "| name | value |")).items(), ids=lambda value: str(value)
)
def test_every_limit_has_its_value(name: str, cells: list[str]):
    (home,) = [module for module in (consuming, receiving, server, rest_server) if name in _own(module)]
    assert float(cells[0]) == getattr(home, name)


def test_the_limits_of_streams_and_of_the_server_are_there():
    (shown,) = [rows(section(PAGE, "| name | value |"))]
    stated = {name for name in _own(server) if name.endswith(("_MAX", "_MIN", "_EVERY_MS"))}
    # In prose: how long the end may take, and what surrounds a body.
    assert stated - set(shown) == {"ENVELOPE_BYTES_MAX", "STOP_S_MAX", "LAST_WORDS_S_MAX"}
    assert f"The client has {consuming.FAREWELL_MS // 1_000} seconds" in PAGE.read_text()


def _own(module: object) -> set[str]:
    """What a module names itself; two of them have an ANSWER_BYTES_MAX, and the stream's is the one in the table."""
    hidden = {"ANSWER_BYTES_MAX"} if module is receiving else set()
    return {name for name in vars(module) if name.isupper()} - hidden
