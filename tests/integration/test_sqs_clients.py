"""Clients of AWS SQS, unchanged, against a real server: the programs in `sqs_clients/`, and what they must tell.

The tours of the AWS CLI and of the SDKs do the same things and must tell the same. A toolchain that is missing, or
whose packages cannot be fetched, is a skip that says so.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server_process import ServerProcess, serving

CLIENTS = Path(__file__).parent / "sqs_clients"
PREPARE_S_MAX = 60
RUN_S_MAX = 120

TOUR = """\
queue {url}/000000000000/{name}
settings VisibilityTimeout=30 maxReceiveCount=2 team=orders
listed {name} {name}-dead {name}.fifo
sent be1472c66364e83ffce7d1fce1de3cc4 e4ed6eb8813d5bfd79d4de11abfbb641
received hello <&> é😀
attributes text=x & y count=12 raw=c3a9
invisible 0
delivery 1 2
left 0
batch sent a b refused bad InvalidMessageContents
batch received first second
batch extended 0 1 refused bad ReceiptHandleIsInvalid
batch deleted 0 1 refused bad ReceiptHandleIsInvalid
long poll late
in order 1 2 then 0
dead poison from {name}
moved poison
refused {missing} {exists} ReceiptHandleIsInvalid {empty} InvalidAttributeName
purged 0
refused {purging}
gone {missing}
"""
# The exceptions of SQS's model, as SDKs name them, and the codes from which they are told.
EXCEPTIONS = {
    "missing": "QueueDoesNotExist",
    "exists": "QueueNameExists",
    "empty": "EmptyBatchRequest",
    "purging": "PurgeQueueInProgress",
}
CODES = {
    "missing": "AWS.SimpleQueueService.NonExistentQueue",
    "exists": "QueueAlreadyExists",
    "empty": "AWS.SimpleQueueService.EmptyBatchRequest",
    "purging": "AWS.SimpleQueueService.PurgeQueueInProgress",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("sqs_clients")
    with serving(f"sqlite:///{folder}/queues.db", folder) as running:
        yield running


def told(words: list[str], server: ServerProcess, name: str) -> str:
    """What the client says about queues of this name."""
    command = [*words, server.url, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def prepared(folder: Path, *commands: list[str]) -> Path:
    """The folder, in which the commands have brought and built what the client needs."""
    if not (tool := shutil.which(commands[0][0])):
        pytest.skip(f"{commands[0][0]} is not installed")
    try:
        for command in commands:
            subprocess.run(
                [tool, *command[1:]], cwd=folder, check=True, capture_output=True, text=True, timeout=PREPARE_S_MAX
            )
    except subprocess.CalledProcessError as fault:
        pytest.skip(f"the packages of the client cannot be fetched: {fault.stdout[-300:]} {fault.stderr[-300:]}")
    except subprocess.TimeoutExpired as fault:
        pytest.skip(f"the client cannot be made ready in time: {fault}")
    return folder


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    folder = tmp_path_factory.mktemp("javascript") / "client"
    shutil.copytree(CLIENTS / "javascript", folder)
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=0", "--loglevel=error"]
    return prepared(folder, ["npm", "install", *options])


def test_the_aws_cli(server: ServerProcess):
    tour = told([sys.executable, str(CLIENTS / "awscli" / "tour.py")], server, "cli")
    assert tour == TOUR.format(url=server.url, name="cli", **CODES)


def test_the_sdk_for_javascript(server: ServerProcess, javascript: Path):
    tour = told(["node", str(javascript / "tour.js")], server, "javascript")
    assert tour == TOUR.format(url=server.url, name="javascript", **EXCEPTIONS)


def test_the_loop_of_sqs_consumer(server: ServerProcess, javascript: Path):
    lines = told(["node", str(javascript / "consumer.js")], server, "sqs-consumer").splitlines()
    # What failed came back, and heartbeats held what took longer than the queue's visibility.
    assert lines == ["consumed 25", "deliveries slow=1 flaky=2 m2=1", "left 0 0"]
