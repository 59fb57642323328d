"""Rows for a person: a table, or a paragraph for each row where the terminal is too narrow for a table."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

CELL_CHARS_MAX = 500
BODY_CHARS_MAX = 60
GAP = 2
# Folded to less than this a text cannot be read.
FOLDED_MIN = 16
# What people copy or compare. It is never folded, and neither are numbers.
WHOLE = frozenset({"id", "queue", "state", "receipt"})

Row = Mapping[str, Any]


def drawn(rows: Sequence[Row], columns: Sequence[str], width: int) -> Table:
    """The rows for a terminal of so many columns; they show the fields that any of them has, or just those named."""
    named = columns or tuple(dict.fromkeys(name for row in rows for name in row))
    shown = [{name: _cell(name, row.get(name)) for name in named} for row in rows]
    whole = {name for name in named if name in WHOLE or _numeric(rows, name)}
    headings = {name: name for name in named}
    widths = _widths(shown, headings, whole, width)
    if widths is None:
        # A long name of a column of short numbers must not cost the others their room.
        headings = {name: name.replace("_", "_\n") for name in named}
        widths = _widths(shown, headings, whole, width)
    return _paragraphs(shown) if widths is None else _table(rows, shown, headings, widths)


def _widths(
    shown: Sequence[Mapping[str, str]], headings: Mapping[str, str], whole: set[str], width: int
) -> dict[str, int] | None:
    """How wide each column is; None where not all have the room that they need."""
    natural = {
        name: max(cell_len(line) for line in (*heading.split("\n"), *(row[name] for row in shown)))
        for name, heading in headings.items()
    }
    left = width - GAP * (len(natural) - 1) - sum(natural[name] for name in whole)
    folded = sorted((name for name in natural if name not in whole), key=lambda name: natural[name])
    # The narrowest first: what they do not need is for those that need more.
    for position, name in enumerate(folded):
        share = left // (len(folded) - position)
        if share < min(natural[name], FOLDED_MIN):
            return None
        natural[name] = min(natural[name], share)
        left -= natural[name]
    return natural if left >= 0 else None


def _table(
    rows: Sequence[Row], shown: Sequence[Mapping[str, str]], headings: Mapping[str, str], widths: Mapping[str, int]
) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name, heading in headings.items():
        justify: Literal["left", "right"] = "right" if _numeric(rows, name) else "left"
        table.add_column(Text(heading), justify=justify, overflow="fold", width=widths[name])
    for row in shown:
        table.add_row(*(Text(row[name]) for name in headings))
    return table


def _paragraphs(shown: Sequence[Mapping[str, str]]) -> Table:
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for position, row in enumerate(shown):
        if position:
            table.add_row()
        for name, cell in row.items():
            if cell:
                table.add_row(Text(name), Text(cell))
    return table


def _numeric(rows: Sequence[Row], name: str) -> bool:
    return all(isinstance(row.get(name), int | float | None) for row in rows)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    chars_max = BODY_CHARS_MAX if name == "body" else CELL_CHARS_MAX
    return _printable(text if len(text) <= chars_max else f"{text[:chars_max]}…")


def _printable(text: str) -> str:
    """The text without what would move the cursor, colour the terminal, or turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
