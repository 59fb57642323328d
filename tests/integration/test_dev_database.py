"""`make db-up`, `db-down` and `db-reset`: with a stand-in for Docker, and with the real server from the wheel."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "dev_database.py"


class Checkout:
    """A checkout that holds the script alone, with a `docker` of the test's choice."""

    def __init__(self, root: Path) -> None:
        self.script = root / "scripts" / SCRIPT.name
        self.script.parent.mkdir()
        shutil.copy(SCRIPT, self.script)
        self.data = root / ".db" / "postgres"
        self.asked = root / "asked"
        self.path = root / "bin"
        self.path.mkdir()

    def docker(self, *cases: str) -> None:
        """Install a `docker` that writes down what it is asked and answers by shell cases."""
        program = self.path / "docker"
        lines = ["#!/bin/sh", f'echo "$*" >> {shlex.quote(str(self.asked))}', 'case "$*" in', *cases, "esac"]
        program.write_text("\n".join(lines) + "\n")
        program.chmod(0o755)

    def run(self, action: str) -> str:
        """What the script writes to stdout."""
        environment = {**os.environ, "PATH": f"{self.path}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [sys.executable, self.script, action],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def without_docker(checkout: Checkout) -> Iterator[Checkout]:
    checkout.docker("*) exit 1 ;;")
    yield checkout
    checkout.run("delete")


def url_in(printed: str) -> str:
    """The URL that a shell would take from the printed line, which is all there is."""
    (export, assignment) = shlex.split(printed)
    assert export == "export"
    assert printed.count("\n") == 1
    return assignment.removeprefix("DATABASE_URL=")


def answers(url: str) -> str:
    with psycopg.connect(url) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    return str(name)


def test_where_docker_answers_compose_runs_postgres_and_its_own_words_make_the_url(checkout: Checkout) -> None:
    environment = {"POSTGRES_USER": "sqslite", "POSTGRES_PASSWORD": "p@ss/word", "POSTGRES_DB": "sqslite"}
    config = json.dumps({"services": {"postgres": {"environment": environment}}})
    checkout.docker(f"*config*) echo {shlex.quote(config)} ;;", "*port*) echo 127.0.0.1:6543 ;;", "*up*) echo noise ;;")
    assert url_in(checkout.run("up")) == "postgresql://sqslite:p%40ss%2Fword@127.0.0.1:6543/sqslite"
    assert "compose up --detach --wait postgres" in checkout.asked.read_text().splitlines()
    assert not checkout.data.exists()


def test_where_docker_answers_down_keeps_the_volume_and_delete_drops_it(checkout: Checkout) -> None:
    checkout.docker()
    checkout.run("down")
    assert checkout.asked.read_text().splitlines()[-1] == "compose stop postgres"
    checkout.run("delete")
    assert checkout.asked.read_text().splitlines()[-1] == "compose down --volumes --remove-orphans"


def test_without_docker_a_private_server_outlives_the_command_until_it_is_stopped(without_docker: Checkout) -> None:
    url = url_in(without_docker.run("up"))
    assert answers(url) == "sqslite"
    assert url_in(without_docker.run("up")) == url
    without_docker.run("down")
    with pytest.raises(psycopg.OperationalError):
        answers(url)
    assert re.search(r"database system is shut down", (without_docker.data / "log").read_text())


def test_down_keeps_the_data_and_delete_drops_it(without_docker: Checkout) -> None:
    with psycopg.connect(url_in(without_docker.run("up"))) as connection:
        connection.execute("CREATE TABLE kept ()")
    without_docker.run("down")
    with psycopg.connect(url_in(without_docker.run("up"))) as connection:
        connection.execute("SELECT FROM kept")
    without_docker.run("delete")
    assert not without_docker.data.exists()
    with psycopg.connect(url_in(without_docker.run("up"))) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT FROM kept")
