"""Draws the table of transitions into docs/architecture.md: run it when the table has changed."""

import re
from pathlib import Path

from sqslite.domain.lifecycle import diagram

ARCHITECTURE = Path(__file__).parent / "architecture.md"
BETWEEN = re.compile(r"(?<=<!-- lifecycle:begin -->\n).*?(?=<!-- lifecycle:end -->)", re.DOTALL)

text = ARCHITECTURE.read_text()
ARCHITECTURE.write_text(BETWEEN.sub(lambda _: f"```mermaid\n{diagram()}\n```\n", text))
