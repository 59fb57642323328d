"""`python -m benchmarks [MODE]`: without a mode, the short table of full cycles on every store."""

import click

from benchmarks import cycles, fairness, pinned_snapshot, wakeups


@click.group(invoke_without_command=True)
@click.option("--seconds", default=5.0, show_default=True, help="How long each row is measured.")
@click.pass_context
def main(context: click.Context, seconds: float) -> None:
    """Benchmarks of sqslite; each starts what it needs and stops it again."""
    if context.invoked_subcommand is None:
        cycles.run(seconds)


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


main(prog_name="benchmarks")
