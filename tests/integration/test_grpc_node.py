"""A client in another language: Node, which reads the proto file by itself."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.server_process import free_port, serving

CLIENT = Path(__file__).parent / "node_client"
PROTO = Path(__file__).parents[2] / "src" / "sqslite" / "entrypoints" / "grpc" / "v1" / "sqslite.proto"
INSTALL_S_MAX = 60
RUN_S_MAX = 30


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with its packages; without Node, or without a registry that has them, there is none."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node is not installed")
    folder = tmp_path_factory.mktemp("node") / "client"
    shutil.copytree(CLIENT, folder)
    words = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=0", "--loglevel=error"]
    try:
        subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=INSTALL_S_MAX)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
        pytest.skip(f"the packages of the Node client cannot be installed: {fault}")
    return folder / "client.js"


def test_a_client_in_node_enqueues_consumes_with_credits_and_is_told_what_is_refused(client: Path, tmp_path: Path):
    port = free_port()
    with serving(f"sqlite:///{tmp_path}/queues.db", tmp_path, "--grpc-port", str(port)):
        words = ["node", str(client), f"127.0.0.1:{port}", str(PROTO)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(set(told["ids"])) == 30
    assert told["seen"]["bodies"] == [f'{{"n":{n}}}' for n in range(30)]
    assert (told["seen"]["settled"], told["seen"]["refused"]) == (30, 0)
    assert 1 <= told["seen"]["openMax"] <= 5
    assert (told["ready"], told["acked"]) == (0, 30)
    assert (told["binary"], told["kind"]) == ([0, 255], "BODY_KIND_BINARY")
    assert (told["again"]["status"], told["again"]["code"]) == ("NOT_FOUND", "message_not_found")
    assert told["again"]["text"].endswith("does not exist (already acked, expired, or never enqueued)")
    # An unknown queue waits for nothing, so there is an answer before the deadline.
    assert told["late"] is None
