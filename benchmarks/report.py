"""How tables are printed, and what is said of the machine and the moment beside them."""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 150
FSYNCS = 50
PAGE = bytes(4_096)


def table(title: str, columns: Sequence[str], *, markdown: bool, caption: str | None = None) -> Table:
    """An empty table; the first column holds names, the others figures."""
    made = Table(
        title=None if markdown else title,
        caption=None if markdown else caption,
        box=box.MARKDOWN if markdown else box.HEAVY_HEAD,
        # In Markdown the dashes of the rule tell on which side a column stands.
        pad_edge=True,
    )
    for place, column in enumerate(columns):
        made.add_column(column, justify="right" if place else "left", no_wrap=markdown or not place)
    return made


def show(made: Table, *, markdown: bool, title: str = "", remarks: Sequence[str] = ()) -> None:
    """Print it, with the remarks below."""
    console = Console(width=1_000 if markdown else WIDTH, highlight=False)
    if markdown and title:
        console.print(f"**{title}**\n", markup=False)
    console.print(made)
    for remark in remarks:
        console.print(f"- {remark}" if markdown else f"  {remark}", markup=False, soft_wrap=True)


def machine(folder: Path) -> list[str]:
    """What figures depend on, in sentences: cores, how busy they are, what a sync of this disk takes."""
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    busy = " It is busy with other work: only the ratios say something." if load > 0.3 * cores else ""
    return [
        f"{cores} cores ({platform.machine()}, {platform.system()}), load {load:.2f} before the run.{busy}",
        f"An fsync of 4 KiB takes {fsync_ms(folder):.2f} ms (median of {FSYNCS}).",
    ]


def fsync_ms(folder: Path) -> float:
    """Milliseconds until a page is on the disk, the median; near 0 where there is no disk behind."""
    times = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(FSYNCS):
            file.write(PAGE)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1_000)
    return sorted(times)[FSYNCS // 2]
