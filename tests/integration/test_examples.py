"""The programs in `examples/` do what their pages say: real processes, a real server, a real PostgreSQL."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from sqslite import Client
from tests.integration.server_process import ServerProcess, free_port, serving

EXAMPLES = Path(__file__).parents[2] / "examples"
WAIT_S_MAX = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("examples")
    with serving(f"sqlite:///{folder}/sqslite.db", folder) as running:
        yield running


class Program:
    """A program of an example, at work in a folder of its own; what it prints goes to a file there."""

    def __init__(self, script: str, folder: Path, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self._out = folder / "out.txt"
        here = {**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"}
        with self._out.open("wb") as out:
            command = [sys.executable, str(EXAMPLES / script)]
            self.process = subprocess.Popen(command, cwd=folder, env=here, stdout=out, stderr=out)

    @property
    def text(self) -> str:
        return self._out.read_text()

    def until(self, line: str) -> None:
        until(lambda: line in self.text.splitlines(), lambda: self.text)

    def until_started(self) -> None:
        until(lambda: "worker started" in self.text, lambda: self.text)

    def ends(self) -> list[str]:
        """The lines of a program that ends by itself."""
        assert self.process.wait(WAIT_S_MAX) == 0, self.text
        return self.text.splitlines()

    def stop(self) -> None:
        """As Ctrl-C does; one that is dead already may be stopped, too."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(WAIT_S_MAX)


@contextlib.contextmanager
def running(*programs: Program) -> Iterator[Sequence[Program]]:
    try:
        yield programs
    finally:
        for program in programs:
            program.stop()


def until(holds: Callable[[], bool], told: Callable[[], str]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, told()
        time.sleep(0.02)


def loaded(script: str) -> ModuleType:
    path = EXAMPLES / script
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_each_example_has_a_page_that_names_its_programs_and_is_listed():
    table = (EXAMPLES / "README.md").read_text()
    folders = sorted(page.parent for page in EXAMPLES.glob("*/README.md"))
    assert folders == sorted(folder for folder in EXAMPLES.iterdir() if folder.is_dir())
    for folder in folders:
        page = (folder / "README.md").read_text()
        assert f"({folder.name}/README.md)" in table
        for program in folder.glob("*.py"):
            assert f"`{program.name}`" in page or f"python {program.name}" in page, program


def test_outbox_web_app(postgres_url: str, tmp_path: Path):
    port = free_port()
    shop_url = f"http://127.0.0.1:{port}"
    with serving(postgres_url, tmp_path) as server:
        where = {"DATABASE_URL": postgres_url, "SQSLITE_URL": server.url, "PORT": str(port)}
        shop = Program("outbox_web_app/shop.py", tmp_path / "shop", **where)
        packer = Program("outbox_web_app/packer.py", tmp_path / "packer", **where)
        with running(shop, packer), httpx.Client(base_url=shop_url, timeout=5) as customer:

            def serves() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return customer.get("/orders/0").status_code == 404
                return False

            until(serves, lambda: shop.text)
            placed = customer.post("/orders", json={"item": "book", "pieces": 2})
            assert (placed.status_code, placed.json()["parcel"]) == (201, None)
            number = placed.json()["id"]
            packer.until(f"order {number} is packed")
            assert customer.get(f"/orders/{number}").json()["parcel"] == f"parcel-{number}"

            refused = customer.post("/orders", json={"item": "lamp", "pieces": 4})
            assert refused.status_code == 409
            until(
                lambda: server.client().get("/v1/queues/parcels/stats").json()["acked_total"] == 1, lambda: packer.text
            )
            stats = server.client().get("/v1/queues/parcels/stats").json()
            assert (stats["ready"], stats["delayed"], stats["in_flight"]) == (0, 0, 0)


def test_heartbeat_worker(server: ServerProcess, tmp_path: Path):
    workers = [Program("heartbeat_worker/render.py", tmp_path / name, SQSLITE_URL=server.url) for name in "ab"]
    with running(*workers), Client(server.url) as client:
        for worker in workers:
            worker.until_started()
        # Longer than two leases, so only heartbeats can keep it.
        client.send("clips", {"name": "long", "frames": 30})
        until(lambda: any("long: begun, delivery 1" in worker.text for worker in workers), lambda: workers[0].text)
        first, other = sorted(workers, key=lambda worker: "long: begun" not in worker.text)
        first.until("long: done")
        assert "long" not in other.text

        client.send("clips", {"name": "intro", "frames": 20})
        until(lambda: any("intro: begun, delivery 1" in worker.text for worker in workers), lambda: workers[0].text)
        first, other = sorted(workers, key=lambda worker: "intro: begun" not in worker.text)
        assert f"intro: begun, delivery 1, process {first.process.pid}" in first.text.splitlines()
        first.process.kill()
        first.process.wait()
        other.until(f"intro: begun, delivery 2, process {other.process.pid}")
        other.until("intro: done")
        assert "intro: done" not in first.text


def test_fifo_orders(server: ServerProcess, tmp_path: Path):
    book = tmp_path / "orders.txt"
    steps = ["placed", "paid", "packed", "shipped"]
    where = {"SQSLITE_URL": server.url, "BOOK": str(book)}
    workers = [Program("fifo_orders/follow.py", tmp_path / name, **where) for name in "ab"]
    with running(*workers):
        for worker in workers:
            worker.until_started()
        assert len(Program("fifo_orders/sell.py", tmp_path / "sell", **where).ends()) == 12
        again = Program("fifo_orders/sell.py", tmp_path / "sell", **where).ends()
        assert all(line.endswith(": known already") for line in again)
        until(lambda: book.exists() and len(book.read_text().splitlines()) == 12, lambda: workers[0].text)
    lines = [line.split() for line in book.read_text().splitlines()]
    for customer in ("ada", "grace", "linus"):
        assert [step for who, step in lines if who == customer] == steps


def test_cron_producer_sends_each_tick_once_however_many_send_and_whenever():
    cron = loaded("cron_producer/cron.py")
    job = cron.Job("report", "reports", every=timedelta(minutes=1))
    noon = datetime.now(UTC).replace(second=30, microsecond=0)
    with Client("memory://") as client:
        # Four ticks that are past and one to come, then the next minute's; a second scheduler adds nothing.
        assert [cron.send_ticks(client, [job], noon) for _ in range(2)] == [5, 0]
        assert cron.send_ticks(client, [job], noon + timedelta(minutes=1)) == 1
        depth, _ = client.inspection.stats("reports")
        assert (depth.ready, depth.delayed) == (4, 2)
        ticks = [datetime.fromisoformat(delivery.body["tick"]) for delivery in client.receive("reports")]
        first = noon.replace(second=0) - timedelta(minutes=3)
        assert ticks == [first + timedelta(minutes=number) for number in range(4)]


def test_cron_producer_runs(server: ServerProcess, tmp_path: Path):
    schedulers = [Program("cron_producer/cron.py", tmp_path / name, SQSLITE_URL=server.url) for name in "ab"]
    with running(*schedulers), Client(server.url) as client:
        for scheduler in schedulers:
            until(lambda scheduler=scheduler: " new" in scheduler.text, lambda scheduler=scheduler: scheduler.text)
        ticks = [delivery.body["tick"] for delivery in client.receive("reports", 10)]
        assert len(ticks) == len(set(ticks)) >= 4


def test_from_sqs(server: ServerProcess, tmp_path: Path):
    where = {
        "AWS_ENDPOINT_URL_SQS": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "SQSLITE_URL": server.url,
    }
    did = ["cat.jpg: small", "dog.jpg: small"]
    assert Program("from_sqs/before.py", tmp_path, **where).ends() == did
    assert Program("from_sqs/after.py", tmp_path, **where).ends() == did


def test_from_celery(server: ServerProcess, tmp_path: Path):
    worker = Program("from_celery/tasks.py", tmp_path / "worker", SQSLITE_URL=server.url)
    with running(worker):
        worker.until_started()
        Program("from_celery/greet.py", tmp_path / "greet", SQSLITE_URL=server.url).ends()
        worker.until("ada@example.org: Hello")
        worker.until("grace@example.org: Later")
    compile((EXAMPLES / "from_celery" / "celery_tasks.py").read_text(), "celery_tasks.py", "exec")
