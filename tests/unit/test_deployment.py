"""The container files agree with the command line, one another and the tree; no engine is needed to see it."""

import json
import re
from pathlib import Path

import click
import pytest
import yaml

from sqslite.entrypoints.cli import main

CHECKOUT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
PROMETHEUS = yaml.safe_load((CHECKOUT / "deploy" / "prometheus.yml").read_text())
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def instruction(name: str) -> str:
    """The last of its kind, which is the one that holds."""
    return re.findall(rf"^\s*{name} (.+)$", DOCKERFILE, re.MULTILINE)[-1]


def understood(words: list[str]) -> None:
    """Raise click's UsageError where the command line would refuse these words; runs nothing."""
    name, *options = words
    # With the group's own settings: a command keeps what it first learned of them.
    group = click.Context(main, **main.context_settings)
    main.commands[name].make_context(name, options, parent=group)


def test_compose_has_the_database_the_migration_the_api_the_sweeper_and_prometheus() -> None:
    assert set(SERVICES) == {"postgres", "migrate", "api", "sweeper", "prometheus"}
    assert set(OURS) == {"migrate", "api", "sweeper"}


@pytest.mark.parametrize("service", OURS)
def test_the_command_line_understands_what_compose_says(service: str) -> None:
    understood(OURS[service]["command"])


def test_the_command_line_understands_what_the_image_says() -> None:
    assert json.loads(instruction("ENTRYPOINT")) == ["sqslite"]
    understood(json.loads(instruction("CMD")))


def test_words_that_the_command_line_does_not_know_are_noticed() -> None:
    with pytest.raises(click.UsageError):
        understood(["serve", "--no-such-option"])


def test_what_a_service_waits_for_exists_and_can_come_true() -> None:
    for service in SERVICES.values():
        needs = service.get("depends_on", [])
        for name in needs:
            assert name in SERVICES
            condition = needs[name]["condition"] if isinstance(needs, dict) else "service_started"
            if condition == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]
            if condition == "service_completed_successfully":
                assert SERVICES[name]["restart"] == "no"


def test_only_a_service_that_answers_http_is_asked_for_its_health() -> None:
    unasked = {name for name, service in OURS.items() if service.get("healthcheck") == {"disable": True}}
    assert unasked == set(OURS) - {"api"}


def test_named_volumes_are_declared_and_mounted_files_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (CHECKOUT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]


def test_ports_are_published_on_loopback_only() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_every_service_uses_the_password_that_postgres_was_given() -> None:
    password = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert {service["environment"]["PGPASSWORD"] for service in OURS.values()} == {password}


def test_prometheus_scrapes_the_port_that_the_image_exposes() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    (source,) = job["dns_sd_configs"]
    assert set(source["names"]) <= set(OURS)
    assert source["port"] == int(instruction("EXPOSE"))
    assert f"PORT={source['port']}" in instruction("ENV")
    assert f"127.0.0.1:${{PORT:-8080}}:{source['port']}" in SERVICES["api"]["ports"]


def test_compose_serves_grpc_on_the_port_that_it_publishes_and_the_image_exposes() -> None:
    words = SERVICES["api"]["command"]
    port = words[words.index("--grpc-port") + 1]
    assert f"127.0.0.1:${{GRPC_PORT:-{port}}}:{port}" in SERVICES["api"]["ports"]
    assert f"EXPOSE {port}\n" in DOCKERFILE
    assert "[grpc]" in DOCKERFILE


def test_the_image_runs_as_nobody_in_particular() -> None:
    assert int(instruction("USER")) > 0


def test_the_health_check_is_a_program_that_asks_healthz() -> None:
    (words,) = re.findall(r"HEALTHCHECK [^\[]*CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    *_, program = json.loads(words)
    compile(program, "health check", "exec")
    assert "/healthz" in program


def test_what_the_image_copies_is_in_the_tree_and_let_through() -> None:
    let_through = re.findall(r"^!(.+)$", (CHECKOUT / ".dockerignore").read_text(), re.MULTILINE)
    for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in words.split()[:-1]:
            assert (CHECKOUT / source).exists()
            assert source in let_through
