"""Full cycles over HTTP (enqueue, receive, ack) on every store, beside the ceiling: a route that does nothing."""

import asyncio
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.driver import Result, closed_loop, full_cycle, health
from benchmarks.servers import Sqslite, postgres, sqslite

CONNECTIONS = 64
REQUESTS_PER_CYCLE = 3


def run(duration_s: float) -> None:
    """Measure each store for that long and print one table."""
    table = Table(title=f"Full cycles over HTTP, {CONNECTIONS} connections, {duration_s:g} s each")
    for column in ("server", "cycles/s", "of ceiling", "cycle p50 ms", "cycle p99 ms", "server CPU µs/message"):
        table.add_column(column, justify="left" if column == "server" else "right")
    with tempfile.TemporaryDirectory() as folder, postgres() as postgres_url:
        stores = [
            ("memory", "memory://", 1),
            ("SQLite", f"sqlite:///{Path(folder) / 'bench.db'}", 1),
            ("PostgreSQL", postgres_url, 1),
            ("PostgreSQL, 2 workers", postgres_url, 2),
        ]
        with sqslite("memory://") as server:
            ceiling = _measured(server, duration_s, None)
        ceiling_cycles = ceiling.per_second / REQUESTS_PER_CYCLE
        table.add_row("ceiling: /healthz ÷ 3", f"{ceiling_cycles:,.0f}", "1.00", "", "", "")
        for name, url, workers in stores:
            with sqslite(url, workers) as server:
                before_s = server.cpu_s()
                delivered: set[int] = set()
                result = _measured(server, duration_s, delivered)
                cpu_us = (server.cpu_s() - before_s) / result.rounds * 1e6
            table.add_row(
                name,
                f"{result.per_second:,.0f}",
                f"{result.per_second / ceiling_cycles:.2f}",
                f"{result.percentile_ms(50):.1f}",
                f"{result.percentile_ms(99):.1f}",
                f"{cpu_us:,.0f}",
            )
    Console(width=120).print(table)


def _measured(server: Sqslite, duration_s: float, delivered: set[int] | None) -> Result:
    one_round = health if delivered is None else full_cycle("bench", 1, delivered)
    return asyncio.run(closed_loop(server.port, CONNECTIONS, duration_s, one_round))
