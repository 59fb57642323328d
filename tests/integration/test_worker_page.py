"""The first example of docs/worker.md, word for word but for the port: saved, started, sent to, stopped."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.integration.server_process import ServerProcess, serving

PAGE = Path(__file__).parents[2] / "docs" / "worker.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
START_S_MAX = 20
ANSWER_S_MAX = 10


def blocks(server: ServerProcess) -> tuple[str, str, str]:
    """The program, the line that starts it, and those that send it something."""
    (_, program), (_, start), (_, send) = BLOCK.findall(PAGE.read_text())[:3]
    return tuple(text.replace("localhost:8080", server.url.removeprefix("http://")) for text in (program, start, send))


def until_written(path: Path, line: str, seconds_max: float) -> None:
    deadline = time.monotonic() + seconds_max
    while line not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.02)


def test_the_first_example_does_what_the_page_says(tmp_path: Path):
    with serving(f"sqlite:///{tmp_path}/sqslite.db", tmp_path) as server:
        program, start, send = blocks(server)
        (tmp_path / "shop.py").write_text(program)
        out, errors = tmp_path / "out", tmp_path / "errors"
        here = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }
        with out.open("wb") as stdout, errors.open("wb") as stderr:
            worker = subprocess.Popen(start.split(), cwd=tmp_path, env=here, stdout=stdout, stderr=stderr)
        try:
            until_written(errors, "worker started", START_S_MAX)
            subprocess.run(send, shell=True, cwd=tmp_path, env=here, check=True, capture_output=True)
            until_written(out, "order 2 goes to Church Lane 3\n", ANSWER_S_MAX)
            until_written(out, "order 1 goes to Main Street 5\n", ANSWER_S_MAX)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(ANSWER_S_MAX) == 0
        finally:
            worker.kill()
            worker.wait()
        with server.client() as client:
            stats = client.get("/v1/queues/orders/stats").json()
            assert (stats["ready"], stats["in_flight"], stats["acked_total"]) == (0, 0, 2)
