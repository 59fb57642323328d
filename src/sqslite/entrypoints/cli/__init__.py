"""The `sqslite` command."""

import asyncio
import os
import socket
import sys
from contextlib import nullcontext
from importlib.metadata import version

import click

from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.entrypoints.cli import messages, queues
from sqslite.entrypoints.cli.asking import EXIT_INTERRUPTED, EXIT_REFUSED, URL_DEFAULT, fail, write_no_more
from sqslite.entrypoints.cli.doctor import doctor
from sqslite.entrypoints.cli.loadtest import loadtest
from sqslite.entrypoints.grpc import check_installed
from sqslite.entrypoints.settings import VARIABLES, Settings, SettingsError

GROUPS = {
    "Serve": ("serve", "sweeper", "migrate", "settings", "doctor"),
    "Messages": ("send", "receive", "ack", "nack", "extend", "peek", "tail", "explain"),
    "Queues": ("queues", "stats", "redrive", "purge", "pause", "resume", "export", "import"),
    "Try": ("demo", "loadtest"),
}


class Sections(click.Group):
    """A group that shows its commands by what they are for, and ends with a sentence where sqslite refuses."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SqsliteError as refusal:
            fail(refusal)
            sys.exit(EXIT_REFUSED)
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            write_no_more()
            sys.exit(0)
        except OSError as fault:
            write_no_more()
            click.echo(f"sqslite: {fault.strerror or fault}", err=True)
            sys.exit(EXIT_REFUSED)
        except UnicodeEncodeError as fault:
            fail(InvalidValue("an argument", fault.object, "UTF-8"))
            sys.exit(EXIT_REFUSED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their headings."""
        for heading, names in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=90)) for name in names])


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("sqslite"), prog_name="sqslite")
def main() -> None:
    """A message queue with the semantics of AWS SQS on storage you already own."""


for command in (
    *(messages.send, messages.receive, messages.ack, messages.nack, messages.extend),
    *(messages.peek, messages.tail, messages.explain),
    *(queues.queues, queues.stats, queues.redrive, queues.purge, queues.pause, queues.resume),
    *(queues.export_queue, queues.import_queue),
    doctor,
    loadtest,
):
    main.add_command(command)


@main.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1, or SQSLITE_HOST]")
@click.option("--port", type=int, help="TCP port to listen on.  [default: 8080, or PORT]")
@click.option("--grpc-port", type=int, help="TCP port of the gRPC API; 0: none.  [default: 0, or GRPC_PORT]")
@click.option("--sqs-port", type=int, help="Another TCP port for the SQS API.  [default: none, or SQS_PORT]")
@click.option("--workers", type=int, help="Processes that serve; more than 1 needs PostgreSQL.  [default: 1]")
@click.option("--no-sweeper", is_flag=True, help="Run no sweeper inside; run `sqslite sweeper` beside it then.")
@click.option("--no-migrate", is_flag=True, help="Leave the schema as it is; run `sqslite migrate` before then.")
@click.option("--testing", is_flag=True, help="Let tests move the server's time and let its calls fail.")
def serve(
    host: str | None,
    port: int | None,
    grpc_port: int | None,
    sqs_port: int | None,
    workers: int | None,
    no_sweeper: bool,
    no_migrate: bool,
    testing: bool,
) -> None:
    """Serve REST and the SQS API, and gRPC where it has a port."""
    _override(
        {
            "SQSLITE_HOST": host,
            "PORT": port,
            "GRPC_PORT": grpc_port,
            "SQS_PORT": sqs_port,
            "WORKERS": workers,
            "SWEEPER": "off" if no_sweeper else None,
            "SQSLITE_TESTING": "on" if testing else None,
        }
    )
    settings = _start()
    _check_free("PORT", settings.host, settings.port)
    if settings.grpc_port:
        check_installed(settings.grpc_port)
        _check_free("GRPC_PORT", settings.host, settings.grpc_port)
    if settings.sqs_port:
        _check_free("SQS_PORT", settings.host, settings.sqs_port)
    if not no_migrate:
        asyncio.run(_migrate(settings))
    # Imported here, because other commands need not wait for a web server to load.
    from sqslite.entrypoints import server

    server.serve(settings)


@main.command()
@click.option("--metrics-port", type=click.IntRange(1, 65_535), help="Show metrics to Prometheus there. [default: no]")
@click.option("--no-migrate", is_flag=True, help="Leave the schema as it is.")
def sweeper(metrics_port: int | None, no_migrate: bool) -> None:
    """Run the sweeper alone, beside servers that run none."""
    settings = _start()
    if metrics_port is not None:
        _check_free("--metrics-port", settings.host, metrics_port)
    asyncio.run(_sweep(settings, metrics_port, migrate_first=not no_migrate))


@main.command()
def migrate() -> None:
    """Bring the database schema up to this version."""
    applied = asyncio.run(_migrate(_start()))
    click.echo("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")


@main.command()
def settings() -> None:
    """Show every setting with its value, passwords hidden."""
    current = Settings.from_environment(os.environ)
    for variable in VARIABLES:
        value = getattr(current, variable.field)
        shown = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
        source = "environment" if variable.name in os.environ else "default"
        click.echo(f"{variable.name}={shown}  ({source}) {variable.meaning}")


@main.command()
@click.option(
    "--url", envvar="SQSLITE_URL", default=URL_DEFAULT, show_default=True, help="The server to show. [SQSLITE_URL]"
)
def demo(url: str) -> None:
    """Show what a queue does, live against a running server."""
    from sqslite.entrypoints.demo import run_demo

    sys.exit(run_demo(url))


def _override(options: dict[str, object]) -> None:
    """Put options into the environment, where worker processes find them too."""
    os.environ.update({name: str(value) for name, value in options.items() if value is not None})


def _start() -> Settings:
    from sqslite.entrypoints.logs import configure_logging

    current = Settings.from_environment(os.environ)
    configure_logging(current.log_level)
    return current


def _check_free(variable: str, host: str, port: int) -> None:
    """Raise SettingsError where nobody could listen: the server itself would end with a stack of its innards."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as fault:
            address = f"{host} port {port}"
            raise SettingsError(f"HOST and {variable}", address, f"free to listen on ({fault.strerror})") from None


async def _migrate(settings: Settings) -> list[str]:
    from sqslite.entrypoints.container import Container

    backend = Container(settings=settings).backend()
    await backend.open()
    try:
        return list(await backend.migrate())
    finally:
        await backend.close()


async def _sweep(settings: Settings, metrics_port: int | None, *, migrate_first: bool) -> None:
    from sqslite.entrypoints.container import Container
    from sqslite.entrypoints.sweeper import hand_over, showing_metrics, sweep_until_told_to_stop

    container = Container(settings=settings)
    backend, wakeups = container.backend(), container.wakeups()
    await backend.open()
    try:
        if migrate_first:
            await backend.migrate()
        # What it settles wakes waiters of the servers.
        await wakeups.open()
        tally = container.tally()
        with showing_metrics(container.metrics(), settings.host, metrics_port) if metrics_port else nullcontext():
            await sweep_until_told_to_stop(container.sweep().run, container.redriving().run, tally.run)
        await hand_over(tally.flush)
    finally:
        await wakeups.close()
        await backend.close()
