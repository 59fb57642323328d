"""docs/promises.md shows the cases that scripts/break_promises.py runs."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_promises_is_current():
    table = runpy.run_path(str(ROOT / "scripts" / "break_promises.py"))["table"]()
    page = (ROOT / "docs" / "promises.md").read_text()
    shown = page.partition("<!-- promises:begin -->\n")[2].partition("\n<!-- promises:end -->")[0]
    assert shown == table, "paste what `python scripts/break_promises.py --table` prints"


def test_the_lines_to_break_are_there():
    for case in runpy.run_path(str(ROOT / "scripts" / "break_promises.py"))["BREAKS"]:
        assert case.kept in (ROOT / case.file).read_text(), case.how
