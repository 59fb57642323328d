"""The load test command on a real server, over both of its wires."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server_process import ServerProcess, free_port, serving

ENDS_S_MAX = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, int]]:
    folder, grpc_port = tmp_path_factory.mktemp("loadtest"), free_port()
    with serving(f"sqlite:///{folder}/load.db", folder, "--grpc-port", str(grpc_port)) as started:
        yield started, grpc_port


def command(url: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "sqslite", "loadtest", "--url", url, *arguments]


@pytest.mark.parametrize(("wire", "more"), [("http", []), ("grpc", ["--groups", "8", "--rate", "200"])])
def test_a_server_keeps_what_it_accepts_while_consumers_crash(
    server: tuple[ServerProcess, int], wire: str, more: list[str]
) -> None:
    url = server[0].url if wire == "http" else f"grpc://127.0.0.1:{server[1]}"
    asked = ["--messages", "120", "--batch", "4", "--crash-rate", "0.2", "--visibility-ms", "500", "--seed", "1"]
    ended = subprocess.run(command(url, *asked, *more), capture_output=True, text=True, timeout=ENDS_S_MAX, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    answer = json.loads(ended.stdout)
    assert (answer["verdict"], answer["accepted"], answer["acked"]) == ("kept", 120, 120)
    assert answer["redelivered_after_crash"] == answer["crashes"] > 0
    assert answer["errors"] == {}
    with server[0].client() as client:
        assert client.get(f"/v1/queues/{answer['plan']['queue']}").status_code == 404


def test_ctrl_c_ends_it_early_with_the_summary(server: tuple[ServerProcess, int], tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(server[0].url, "--rate", "20", "--seconds", "600"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=ENDS_S_MAX)
    finally:
        process.kill()
        process.wait()
    answer = json.loads(said)
    assert (process.returncode, answer["verdict"], answer["stopped_early"]) == (0, "kept", True)
    assert 0 < answer["accepted"] < 100
