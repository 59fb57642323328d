"""How tables are printed, and what is said of the machine and the moment beside them."""

import os
import platform
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 150
MARKDOWN_WIDTH = 1_000
FSYNCS = 50
PAGE = bytes(4_096)


def table(title: str, columns: Sequence[str], *, markdown: bool) -> Table:
    """An empty table; the first column holds names, the others figures."""
    made = Table(title=title, box=box.MARKDOWN if markdown else box.HEAVY_HEAD)
    for place, column in enumerate(columns):
        made.add_column(column, justify="right" if place else "left", no_wrap=markdown or not place)
    return made


def add_heading(made: Table, text: str) -> None:
    """Begin a part of the table."""
    if made.box is box.MARKDOWN:
        made.add_row(f"**{text}**")
    else:
        made.add_section()
        made.add_row(text, style="bold")


def show(made: Table, remarks: Sequence[str] = ()) -> None:
    """Print it, with the remarks below."""
    console = Console(width=WIDTH, highlight=False)
    if made.box is not box.MARKDOWN:
        console.print(made)
        for remark in remarks:
            console.print(remark, markup=False)
        return
    title, made.title = made.title, None
    text = StringIO()
    Console(width=MARKDOWN_WIDTH, file=text).print(made)
    lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
    # A colon tells that figures stand on the right.
    lines[1] = (
        "|".join(cell if place < 2 else f"{cell[:-1]}:" for place, cell in enumerate(lines[1].split("|")[:-1])) + "|"
    )
    print(f"**{title}**\n", *lines, "", *[f"- {remark}" for remark in remarks], sep="\n")


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
