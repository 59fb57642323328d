"""What `import sqslite` gives, and what it does not load."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

import sqslite

# What serves, stores and shows: none of it is a client's business.
OF_SERVERS = {
    "aiosqlite",
    "click",
    "dependency_injector",
    "granian",
    "grpc",
    "httpx",
    "litestar",
    "prometheus_client",
    "psycopg",
    "rich",
    "structlog",
    "uvloop",
}
# Loaded once a client goes that way, not before.
OF_A_WAY = {"anyio", "asyncio", "httpcore", "sqlite3", "ssl"}
# What only a node works with; a client has the ports and the shapes.
OF_NODES = {"administration", "attempts", "directory", "inspection", "redriving", "service", "sweep", "tally"}


def loaded_modules(program: str) -> set[str]:
    """What a fresh interpreter has after the program and had not before."""
    code = f"import sys\nbefore = set(sys.modules)\n{program}\nprint(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    return set(run.stdout.split())


def loaded(program: str) -> set[str]:
    """The packages of that."""
    return {name.partition(".")[0] for name in loaded_modules(program)}


def test_the_clients_load_no_server():
    packages = loaded("from sqslite import AsyncClient, Client")
    assert "msgspec" in packages
    assert packages & (OF_SERVERS | OF_A_WAY) == set()


def test_neither_the_clients_nor_the_worker_load_a_node():
    modules = loaded_modules("from sqslite import AsyncClient, Client, Worker")
    assert "sqslite.domain.use_cases" in modules
    assert modules & {f"sqslite.domain.{module}" for module in OF_NODES} == set()
    assert {name.partition(".")[0] for name in modules} & (OF_SERVERS | OF_A_WAY) == set()


def test_a_client_of_a_server_loads_no_server_either():
    packages = loaded("import sqslite\nsqslite.Client('http://localhost:1').close()")
    assert "httpcore" in packages
    assert packages & OF_SERVERS == set()


def test_the_package_alone_loads_nothing_but_itself():
    assert loaded("import sqslite") & (OF_SERVERS | OF_A_WAY | {"msgspec"}) == set()


@pytest.mark.parametrize("name", sqslite._HOMES)
def test_every_name_is_there(name: str):
    if find_spec(sqslite._HOMES[name]) is not None:
        assert getattr(sqslite, name).__name__ == name
    assert name in dir(sqslite)


def test_another_name_is_not():
    with pytest.raises(AttributeError, match=r"^module 'sqslite' has no attribute 'Manager'"):
        _ = sqslite.Manager
