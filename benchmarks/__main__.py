"""`python -m benchmarks [MODE]`: without a mode, the short table of full cycles beside other queues."""

import sys
from pathlib import Path

import click

from benchmarks import backlog, comparison, fairness, idle, pinned_snapshot, soak, sqs, storage, wakeups
from benchmarks.contenders import CONTENDERS


@click.group(invoke_without_command=True)
@click.option("--seconds", default=5.0, show_default=True, help="How long each figure is measured.")
@click.option("--connections", default=64, show_default=True, help="Connections with one call under way each.")
@click.option("--drivers", default=1, show_default=True, help="Driver processes that share the connections.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([contender.key for contender in CONTENDERS]),
    help="Measure this one; may be given several times.",
)
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.pass_context
def main(
    context: click.Context, seconds: float, connections: int, drivers: int, only: tuple[str, ...], markdown: bool
) -> None:
    """Benchmarks of sqslite; each starts what it needs and stops it again."""
    if context.invoked_subcommand is None:
        fine = comparison.run(seconds=seconds, connections=connections, processes=drivers, only=only, markdown=markdown)
        sys.exit(0 if fine else 1)


@main.command("sqs")
@click.option("--seconds", default=5.0, show_default=True, help="How long each figure is measured.")
@click.option("--connections", default=16, show_default=True, help="Connections with one call under way each.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([contender.key for contender in sqs.CONTENDERS]),
    help="Measure this one; may be given several times.",
)
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
def amazon(seconds: float, connections: int, only: tuple[str, ...], markdown: bool) -> None:
    """The SQS API in both protocols beside ElasticMQ and moto's server, and SendMessage beside the REST enqueue."""
    sys.exit(0 if sqs.run(seconds=seconds, connections=connections, only=only, markdown=markdown) else 1)


@main.command("pinned-snapshot")
@click.option("--messages", default=200_000, show_default=True, help="Messages that flow through the queue.")
def pinned(messages: int) -> None:
    """Claim speed while another session pins an old snapshot, with and without the claim cursor."""
    pinned_snapshot.run(messages)


@main.command("fairness")
@click.option("--flood", default=100_000, show_default=True, help="Messages that one tenant has sent before.")
@click.option("--seconds", default=20.0, show_default=True, help="How long each row is measured.")
def fair(flood: int, seconds: float) -> None:
    """Dwell times of quiet tenants behind a flood, on standard and fair queues."""
    fairness.run(flood, seconds)


@main.command("wakeups")
@click.option("--rounds", default=200, show_default=True, help="Wake-ups measured in each row.")
def waking(rounds: int) -> None:
    """From enqueue to the answer of a receive that waits, and what a thousand that wait cost."""
    wakeups.run(rounds)


@main.command("backlog")
@click.option("--up-to", default=10_000_000, show_default=True, help="The largest backlog, a power of ten.")
@click.option("--seconds", default=5.0, show_default=True, help="How long each row is measured.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def behind(up_to: int, seconds: float, markdown: bool) -> None:
    """Cycles and claims on queues that hold up to ten million messages, delayed ones, or many in flight."""
    backlog.run(up_to=up_to, seconds=seconds, markdown=markdown)


@main.command("idle")
@click.option("--queues", default=100, show_default=True, help="Queues that are there.")
@click.option("--polls", default=500, show_default=True, help="Receives that wait.")
@click.option("--seconds", default=60.0, show_default=True, help="How long each figure is measured.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def idling(queues: int, polls: int, seconds: float, markdown: bool) -> None:
    """The CPU that servers use while nothing happens."""
    idle.run(queues=queues, polls=polls, seconds=seconds, markdown=markdown)


@main.command("soak")
@click.option("--minutes", default=30.0, show_default=True, help="How long.")
@click.option("--backlog", "behind", default=10_000, show_default=True, help="Messages that lie in the queue.")
@click.option("--workers", default=1, show_default=True, help="Processes of the server.")
@click.option("--plots", type=click.Path(path_type=Path), help="A folder for PNG pictures of the curves.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def soaking(minutes: float, behind: int, workers: int, plots: Path | None, markdown: bool) -> None:
    """Steady load for a long time: throughput, memory, sizes of table and indexes."""
    fine = soak.run(minutes=minutes, backlog=behind, workers=workers, plots=plots, markdown=markdown)
    sys.exit(0 if fine else 1)


@main.command("storage")
@click.option("--messages", default=5_000_000, show_default=True, help="Messages that pass through; 0: calls only.")
@click.option("--untuned", is_flag=True, help="Without the migration's settings of autovacuum.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
def storing(messages: int, untuned: bool, markdown: bool) -> None:
    """Blocks, WAL and rows per message on PostgreSQL, and bloat after millions of messages."""
    if not untuned:
        storage.statements(markdown=markdown)
    if messages:
        storage.flow(messages=messages, tuned=not untuned, markdown=markdown)


# Driver processes import this module again, under another name.
if __name__ == "__main__":
    main(prog_name="benchmarks")
