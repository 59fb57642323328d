"""The command line: what it offers, what it shows, and how it ends when it cannot."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sqslite.entrypoints import grpc, logs, server
from sqslite.entrypoints.cli import main
from sqslite.entrypoints.settings import VARIABLES, Settings

COMMANDS = list(main.commands)
ENDS_S_MAX = 60


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing of ours is set, and whatever a command sets is gone afterwards."""
    monkeypatch.chdir(tmp_path)
    # The log of the whole test run is not the commands' to configure.
    monkeypatch.setattr(logs, "configure_logging", lambda level: None)
    before = dict(os.environ)
    for variable in VARIABLES:
        os.environ.pop(variable.name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What the server was started with, without starting it."""
    started: list[Settings] = []
    monkeypatch.setattr(server, "serve", started.append)
    return started


def run(*arguments: str, **environ: str) -> Result:
    os.environ.update(environ)
    return CliRunner().invoke(main, arguments)


def process(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it, for what a test runner in the same process would hide."""
    command = [sys.executable, "-m", "sqslite", *arguments]
    environment = {**os.environ, **environ}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ENDS_S_MAX, check=False)


def through_a_shell(line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The line with `sqslite` as this one, for what only a shell can do to the streams and arguments of a command."""
    script = f'sqslite() {{ "{sys.executable}" -m sqslite "$@"; }}; {line}'
    environment = {**os.environ, "SQSLITE_URL": "sqlite:///try.db", **environ}
    command = ["bash", "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ENDS_S_MAX, check=False)


def assert_one_sentence(result: Result, beginning: str) -> None:
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"sqslite: {beginning}"), result.stderr
    assert result.stderr.count("\n") == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command_with_a_sentence(option):
    result = run(option)
    assert result.exit_code == 0
    listed = dict(re.findall(r"^  ([a-z]+)  +([A-Z].*)", result.output.partition("Serve:\n")[2], re.MULTILINE))
    assert sorted(listed) == sorted(COMMANDS)
    assert all(command.get_short_help_str(90).endswith(".") for command in main.commands.values())
    assert "..." not in result.output.partition("Serve:\n")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_its_options(command):
    result = run(command, "-h")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {command}")
    options = main.commands[command].params
    assert all(option.help for option in options if isinstance(option, click.Option))


def test_the_version_is_the_packages():
    assert run("--version").output == f"sqslite, version {version('sqslite')}\n"


@pytest.mark.parametrize("arguments", [["bogus"], ["serve", "--bogus"], ["serve", "--port", "abc"], ["serve", "extra"]])
def test_a_mistyped_command_ends_with_2_and_the_usage(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert "Traceback" not in result.stderr


def test_settings_shows_each_variable_with_value_source_and_meaning():
    result = run("settings", PORT="9000", SWEEPER="off", DATABASE_URL="postgres://user:hunter2@host/db?sslmode=require")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.partition("=")[0] for line in lines] == [variable.name for variable in VARIABLES]
    assert all(line.endswith(variable.meaning) for line, variable in zip(lines, VARIABLES, strict=True))
    assert lines[0].startswith("DATABASE_URL=postgres://user:***@host/db?sslmode=require  (environment) ")
    assert any(line.startswith("PORT=9000  (environment) ") for line in lines)
    assert any(line.startswith("SWEEPER=off  (environment) ") for line in lines)
    assert any(line.startswith("RECEIVE_MAX=10  (default) ") for line in lines)
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter2@h/d", "postgresql://u:%40hunter2%3A%2f%25@h/d", "postgresql://h/d?password=hunter2",
     "postgresql://u:x@hunter2@h/d", "postgresql://u:x/hunter2@h/d", "mysql://u:hunter2@h/d", "password=hunter2"],
)  # fmt: skip
@pytest.mark.parametrize("command", ["settings", "serve", "migrate", "sweeper"])
def test_no_command_shows_a_password(command, url):
    # WORKERS is refused, so that no command goes on to connect.
    result = run(command, DATABASE_URL=url, **({} if command == "settings" else {"WORKERS": "none"}))
    assert "hunter2" not in result.output + result.stderr


@pytest.mark.parametrize("command", ["settings", "serve", "migrate", "sweeper"])
def test_a_bad_setting_ends_every_command_with_one_sentence(command):
    assert_one_sentence(
        run(command, RECEIVE_MAX="many"), 'RECEIVE_MAX must be a whole number from 1 to 1000; got "many"'
    )
    os.environ.pop("RECEIVE_MAX")
    assert_one_sentence(run(command, DATABASE_URL="mysql://h/d"), "DATABASE_URL must be memory://, ")


def test_options_override_the_environment(served):
    port = free_port()
    environ = {
        "DATABASE_URL": "postgres://h/d",
        "SQSLITE_HOST": "127.0.0.9",
        "PORT": "1",
        "WORKERS": "1",
        "SWEEPER": "on",
    }
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "3", "--no-sweeper", "--no-migrate"]
    assert run("serve", *options, **environ).exit_code == 0
    (settings,) = served
    assert (settings.host, settings.port, settings.workers, settings.sweeper) == ("127.0.0.1", port, 3, False)
    # Worker processes read the environment again.
    assert Settings.from_environment(os.environ) == settings


def test_without_options_the_environment_holds(served):
    port = str(free_port())
    assert run("serve", DATABASE_URL="memory://", PORT=port, SWEEPER="off").exit_code == 0
    assert (served[0].port, served[0].sweeper, served[0].host) == (int(port), False, "127.0.0.1")


@pytest.mark.parametrize(
    ("options", "beginning"),
    [
        (["--port", "0"], "PORT must be a whole number from 1 to 65535"),
        (["--port", "65536"], "PORT must be a whole number from 1 to 65535"),
        (["--workers", "0"], "WORKERS must be a whole number from 1 to 64"),
        (["--workers", "2"], "WORKERS must be 1 with sqlite:///sqslite.db: SQLite has one writer"),
        (["--host", ""], "SQSLITE_HOST must be an IP address"),
        (["--host", "localhost"], "SQSLITE_HOST must be an IP address"),
    ],
)
def test_a_bad_option_is_refused_as_the_variable_would_be(served, options, beginning):
    assert_one_sentence(run("serve", *options), beginning)
    assert served == []
    assert not Path("sqslite.db").exists()


def test_serve_migrates_first_unless_told_not_to(served):
    port = str(free_port())
    assert run("serve", "--port", port, "--no-migrate").exit_code == 0
    assert not Path("sqslite.db").exists()
    assert run("serve", "--port", port).exit_code == 0
    assert Path("sqslite.db").exists()
    assert run("migrate").output == "the schema is up to date\n"


def test_a_port_that_is_taken_is_refused_before_anything_is_touched(served):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert_one_sentence(result, "HOST and PORT must be free to listen on (Address already in use)")
    assert f'got "127.0.0.1 port {port}"' in result.stderr
    assert not Path("sqslite.db").exists()


def test_a_grpc_port_that_is_taken_is_refused_before_anything_is_touched(served):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(free_port()), "--grpc-port", str(port), DATABASE_URL="sqlite:///new.db")
    assert_one_sentence(result, "HOST and GRPC_PORT must be free to listen on (Address already in use)")
    assert (served, Path("new.db").exists()) == ([], False)


def test_grpc_on_the_port_of_rest_is_refused(served):
    port = str(free_port())
    result = run("serve", "--port", port, "--grpc-port", port)
    assert_one_sentence(result, f"GRPC_PORT must be another port than PORT; got {port}")


@pytest.mark.parametrize("missing", grpc.EXTRA)
def test_grpc_without_its_extra_is_refused_with_what_to_install(served, monkeypatch: pytest.MonkeyPatch, missing: str):
    monkeypatch.setattr(grpc, "find_spec", lambda module: None if module == missing else object())
    result = run("serve", "--port", str(free_port()), "--grpc-port", str(free_port()), DATABASE_URL="memory://")
    assert_one_sentence(
        result, "GRPC_PORT must be 0 while the extra for gRPC is not installed (pip install 'sqslite[grpc"
    )
    assert served == []
    assert run("serve", "--port", str(free_port()), DATABASE_URL="memory://", GRPC_PORT="0").exit_code == 0


def test_without_a_grpc_port_no_library_of_grpc_is_loaded():
    program = (
        "import sys, sqslite.entrypoints.cli, sqslite.entrypoints.server as server; server.create_app();"
        "sys.exit(any(name in sys.modules for name in ('grpc', 'google.protobuf')))"
    )
    environment = {**os.environ, "DATABASE_URL": "memory://"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=ENDS_S_MAX, check=False)
    assert done.returncode == 0


def test_an_address_of_another_machine_is_refused(served):
    # 203.0.113.0/24 is for documentation, so no machine has it (RFC 5737).
    result = run("serve", "--host", "203.0.113.9", "--port", str(free_port()))
    assert_one_sentence(result, "HOST and PORT must be free to listen on (Cannot assign requested address)")


def test_migrate_lists_what_it_applied_and_then_nothing():
    first = run("migrate", DATABASE_URL="sqlite:///here.db")
    assert first.exit_code == 0
    assert all(line.startswith("applied 0") for line in first.output.splitlines())
    assert first.output
    assert Path("here.db").exists()
    again = run("migrate")
    assert (again.exit_code, again.output) == (0, "the schema is up to date\n")


def test_migrate_without_a_folder_or_a_database_ends_with_one_sentence():
    missing = process("migrate", DATABASE_URL="sqlite:///nowhere/here.db")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("sqslite: SQLite file ")
    assert missing.stderr.endswith("/nowhere/here.db cannot be opened: its folder does not exist\n")
    Path("text.db").write_text("this is no database but a text " * 50)
    text = process("migrate", DATABASE_URL="sqlite:///text.db")
    assert (text.returncode, text.stdout) == (1, "")
    assert text.stderr.startswith("sqslite: SQLite file ")
    assert text.stderr.endswith("text.db: file is not a database\n")


def test_a_database_that_cannot_be_reached_ends_the_command_with_a_sentence_at_last():
    url = f"postgresql://user:hunter2@127.0.0.1:{free_port()}/db"
    result = process("migrate", DATABASE_URL=url, DB_CONNECTION_TIMEOUT="1")
    assert result.returncode == 1
    # Before it come the log lines of the attempts.
    assert result.stderr.splitlines()[-1].startswith("sqslite: the database cannot be reached")
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr + result.stdout


def test_a_body_is_the_bytes_of_its_argument():
    sent = through_a_shell(r"sqslite send orders $'\xff\xfe' && sqslite peek orders")
    assert (sent.returncode, '"body":"//4="' in sent.stdout) == (0, True), sent.stderr


@pytest.mark.parametrize("url", ["sqlite:///try.db", "http://127.0.0.1:1"])
@pytest.mark.parametrize("option", [r"--attribute $'a=\xff'", r"--group-id $'\xff'", r"--dlq $'\xff'"])
def test_an_argument_that_is_no_utf_8_is_refused(option: str, url: str):
    refused = through_a_shell(f"sqslite send orders 1 {option}", SQSLITE_URL=url)
    assert refused.returncode == 1
    assert refused.stderr.startswith("sqslite: ")
    assert refused.stderr.count("\n") == 1


def test_output_that_cannot_be_written_ends_a_command_with_one_sentence():
    through_a_shell("sqslite send orders 1")
    full = through_a_shell("sqslite export orders > /dev/full")
    assert (full.returncode, full.stderr) == (1, "sqslite: No space left on device\n")


@pytest.mark.parametrize(
    ("line", "code"), [("sqslite stats >&-", 0), ("sqslite peek orders >&-", 0), ("sqslite send orders <&-", 1)]
)
def test_streams_may_be_closed(line: str, code: int):
    through_a_shell("sqslite send orders 1")
    ended = through_a_shell(line)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr


def test_the_demo_asks_whom_the_other_commands_ask():
    asked = run("demo", SQSLITE_URL=f"http://127.0.0.1:{free_port()}")
    assert asked.exit_code == 4
    assert "Nobody listens at" in asked.output


def test_ctrl_c_while_the_command_loads_ends_it_without_a_word():
    program = (
        "import sys, sqslite.__main__ as command\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "command.run()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=ENDS_S_MAX, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")
