"""`make bench` on a small scale: it starts, measures, accounts for every message, and prints a table."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "benchmarks", "--only", "memory", "--seconds", "1", "--connections", "8", "--markdown"]


def test_the_short_table() -> None:
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    single, batches = re.findall(r"^\| sqslite, memory +\|.*$", done.stdout, re.MULTILINE)
    for row in (single, batches):
        assert (found := re.search(r"\| +0, 0 of ([0-9,]+) \|$", row)), row
        assert int(found[1].replace(",", "")) > 0
