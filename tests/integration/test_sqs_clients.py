"""Clients of AWS SQS, unchanged, against a real server: the programs in `sqs_clients/`, and what they must tell.

The tours of the AWS CLI and of the SDKs do the same things and must tell the same. A toolchain that is missing, or
whose packages cannot be fetched, is a skip that says so. What takes minutes to build waits for `make test-sqs-clients`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server_process import ServerProcess, serving

CLIENTS = Path(__file__).parent / "sqs_clients"
ALL = os.environ.get("SQS_CLIENTS") == "all"
FETCH_S_MAX = 300 if ALL else 60
BUILD_S_MAX = 300
RUN_S_MAX = 120

takes_minutes = pytest.mark.skipif(not ALL, reason="takes minutes to fetch and build: make test-sqs-clients runs it")

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
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=RUN_S_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copied(client: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(client) / "client"
    shutil.copytree(CLIENTS / client, folder)
    return folder


def fetch(folder: Path, *command: str) -> None:
    """Brings what the client needs into the folder."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=FETCH_S_MAX)
    except subprocess.CalledProcessError as fault:
        pytest.skip(f"the client's packages cannot be fetched: {fault.stdout[-300:]} {fault.stderr[-300:]}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"the client's packages were not fetched within {FETCH_S_MAX} s")


def build(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_S_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    folder = copied("javascript", tmp_path_factory)
    options = ("--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=0", "--loglevel=error")
    fetch(folder, "npm", "install", *options)
    return folder


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the program."""
    folder = copied("go", tmp_path_factory)
    fetch(folder, "go", "mod", "download")
    build(folder, "go", "build", "-o", "client", ".")
    return str(folder / "client")


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that start a program, but for its name."""
    if not shutil.which("javac"):
        pytest.skip("javac is not installed")
    folder = copied("java", tmp_path_factory)
    fetch(folder, "mvn", "--batch-mode", "--quiet", "dependency:build-classpath")
    classpath = (folder / "target" / "classpath").read_text().strip()
    classes = str(folder / "target" / "classes")
    sources = [str(path) for path in folder.rglob("*.java")]
    build(folder, "javac", "-encoding", "UTF-8", "-d", classes, "-cp", classpath, *sources)
    return ["java", "-cp", f"{classes}:{classpath}"]


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


@takes_minutes
def test_the_sdk_for_go(server: ServerProcess, go: str):
    assert told([go, "tour"], server, "go") == TOUR.format(url=server.url, name="go", **EXCEPTIONS)


@takes_minutes
def test_long_polls_in_parallel_with_the_sdk_for_go(server: ServerProcess, go: str):
    assert told([go, "loop"], server, "go-loop") == "consumed 100 twice 0 left 0\n"


@takes_minutes
def test_the_sdk_for_java(server: ServerProcess, java: list[str]):
    tour = told([*java, "sqsclients.Tour"], server, "java")
    assert tour == TOUR.format(url=server.url, name="java", **EXCEPTIONS)


@takes_minutes
def test_the_batching_manager_of_the_sdk_for_java(server: ServerProcess, java: list[str]):
    lines = told([*java, "sqsclients.BatchManager"], server, "batching").splitlines()
    assert lines == ["sent 50 refused true", "consumed 50 left 0"]


@takes_minutes
def test_the_listener_of_spring_cloud_aws(server: ServerProcess, java: list[str]):
    lines = told([*java, "sqsclients.Listener"], server, "listener").splitlines()
    assert lines == ["consumed 100", "deliveries slow=1 flaky=2 m2=1", "left 0"]
