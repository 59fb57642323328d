"""docs/sdk.md is run from top to bottom, and tells of every call and every option there is."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import fields

from sqslite import AsyncClient, Client
from sqslite.adapters.client.blocking import BlockingAdministration, BlockingInspection, BlockingRedriveTasks
from sqslite.adapters.client.connections import Options
from sqslite.domain import errors
from sqslite.domain.errors import SqsliteError
from sqslite.entrypoints.client import Connected
from tests.integration.server_process import serving

PAGE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
# Life and making of a client, told in words.
NOT_CALLS = {"close", "through", "administration", "inspection", "redriving"}


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving("memory://", tmp_path_factory.mktemp("sdk"), LOG_LEVEL="warning") as server:
        yield server.url


def test_every_block_of_the_page_runs(server_url: str, capsys: pytest.CaptureFixture[str]):
    assert len(BLOCKS) >= 6
    for block in BLOCKS:
        exec(compile(block.replace("http://localhost:8080", server_url), "sdk.md", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out == "17\n"
    with Client(server_url) as client:
        assert client.inspection.stats("orders")[1].acked == 2


def test_the_first_example_fits_a_screen():
    assert PAGE[: PAGE.index(BLOCKS[0]) + len(BLOCKS[0])].count("\n") <= 24


def public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"} - NOT_CALLS


def test_every_call_is_on_the_page():
    told = set(re.findall(r"`(\w+)[(`]", PAGE))
    parts = (Client, BlockingAdministration, BlockingInspection, BlockingRedriveTasks)
    assert set().union(*map(public, parts)) <= told


def test_both_clients_have_the_same_calls_with_the_same_arguments():
    assert public(Client) == public(AsyncClient)
    for name in public(Client):
        assert inspect.signature(getattr(Client, name)) == inspect.signature(getattr(AsyncClient, name)), name


def test_every_option_is_on_the_page_with_its_default():
    table = PAGE[PAGE.index("| argument |") :].split("\n\n")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", table, re.MULTILINE))
    assert set(told) == set(Connected.__annotations__) == set(Options.__struct_fields__)
    numbers = {field.name: field.default for field in fields(Options) if isinstance(field.default, int | float)}
    assert {name: float(told[name]) for name in numbers} == numbers


def test_every_error_is_on_the_page():
    told = set(re.findall(r"`(\w+)`", PAGE[PAGE.index("| error |") :]))
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SqsliteError)}
    assert {kind.__name__ for kind in kinds - {SqsliteError}} <= told
