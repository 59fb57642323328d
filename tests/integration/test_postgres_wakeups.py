"""Wake-ups between nodes over a real PostgreSQL: who is woken, what survives, what is logged, and that none is lost."""

import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs

from sqslite.adapters.clock import SystemClock
from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.wakeups import postgres
from sqslite.adapters.wakeups.hints import PENDING_QUEUES_MAX
from sqslite.adapters.wakeups.local import LOOK_EVERY_MS, LocalWakeups
from sqslite.adapters.wakeups.postgres import SEND_EVERY_MS, PostgresWakeups
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Claim
from sqslite.domain.queues import QueueSettings
from tests.conformance.world import message
from tests.integration.postgres_server import PostgresServer, fresh_database
from tests.integration.server_process import STOP_S_MAX, ServerProcess, environment, serving

# Far below the look that finds everything sooner or later, so that it is the wake-up that is seen.
SOON_S = LOOK_EVERY_MS / SECOND_MS / 2
CONNECTED_S_MAX = 20.0
ANSWERED_S_MAX = 10.0
QUIET_S = 0.1
ROUNDS = 300
SEED = 20_260_101
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"

clock = SystemClock()


class Node:
    """A node's wake-ups, and the names of its waiters that were woken, in order."""

    def __init__(self, url: str) -> None:
        self.wakeups = PostgresWakeups(LocalWakeups(clock), url, clock, SystemEntropy())
        self.woken: list[str] = []
        self.waits: list[asyncio.Task[None]] = []

    async def park(self, *names: str, queue: str = "orders") -> None:
        """Have waiters wait for the first time they are woken, longer than any test lasts."""
        self.waits += [asyncio.ensure_future(self._wait(name, queue)) for name in names]
        await asyncio.sleep(0)

    async def _wait(self, name: str, queue: str) -> None:
        with self.wakeups.watching(queue) as watch:
            await watch.wait(clock.now() + ms(60 * SECOND_MS))
            self.woken.append(name)

    async def has_woken(self, *names: str, within_s: float = SOON_S) -> None:
        """See exactly these woken in time, in that order, and nobody else a little later."""
        await until(lambda: len(self.woken) >= len(names), within_s)
        await asyncio.sleep(QUIET_S)
        assert self.woken == list(names)


async def until(true: Callable[[], bool], seconds: float = CONNECTED_S_MAX) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:  # noqa: ASYNC110  # the server must come to it
        await asyncio.sleep(0.002)


def listeners(url: str) -> list[int]:
    with psycopg.connect(url, autocommit=True) as observer:
        return [pid for (pid,) in observer.execute(LISTENERS.encode()).fetchall()]


def execute(url: str, sql: str, *parameters: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode(), parameters or None)


@contextlib.asynccontextmanager
async def opened(url: str, count: int = 2) -> AsyncIterator[list[Node]]:
    """Nodes that hear one another."""
    nodes = [Node(url) for _ in range(count)]
    before = len(listeners(url))
    for node in nodes:
        await node.wakeups.open()
    try:
        await until(lambda: len(listeners(url)) == before + count)
        yield nodes
    finally:
        for node in nodes:
            for wait in node.waits:
                wait.cancel()
            await node.wakeups.close()


@pytest.fixture
def own_database_url(postgres_server_url: str) -> Iterator[str]:
    with fresh_database(postgres_server_url) as url:
        yield url


@pytest.fixture
async def nodes(own_database_url: str) -> AsyncIterator[list[Node]]:
    async with opened(own_database_url) as nodes:
        yield nodes


async def test_waiters_are_woken_by_a_notice_at_another_node_as_many_as_it_says(nodes: list[Node]):
    here, there = nodes
    await there.park("a", "b", "c", "d")
    await there.park("other", queue="other")
    here.wakeups.notify("orders", 1)
    await there.has_woken("a")
    here.wakeups.notify("orders", 2)
    await there.has_woken("a", "b", "c")


async def test_a_notice_wakes_waiters_of_its_own_process_once_and_does_not_wait_for_the_database(nodes: list[Node]):
    here, _ = nodes
    await here.park("a", "b", "c")
    here.wakeups.notify("orders", 1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert here.woken == ["a"]
    await here.has_woken("a")


async def test_a_wake_up_that_is_passed_on_stays_on_its_node(nodes: list[Node]):
    one, other = nodes
    await one.park("a")
    await other.park("b")
    with one.wakeups.watching("orders") as watch:
        watch.pass_on()
    await one.has_woken("a")
    assert other.woken == []


async def test_a_notice_in_plain_sql_wakes_everybody_when_its_transaction_commits(
    nodes: list[Node], own_database_url: str
):
    for node in nodes:
        await node.park("a", "b", "c")
    with psycopg.connect(own_database_url) as connection:
        connection.execute("SELECT pg_notify('sqslite_wakeups', '{\"queue\": \"orders\"}')")
        await asyncio.sleep(QUIET_S)
        assert [node.woken for node in nodes] == [[], []]
        connection.commit()
    for node in nodes:
        await node.has_woken("a")
    execute(own_database_url, "SELECT pg_notify('sqslite_wakeups', %s)", json.dumps({"queue": "orders", "count": 2}))
    for node in nodes:
        await node.has_woken("a", "b", "c")


async def test_payloads_that_are_no_hints_are_ignored_and_the_line_stays(nodes: list[Node], own_database_url: str):
    _, there = nodes
    await there.park("a")
    before = listeners(own_database_url)
    with capture_logs() as logs:
        for payload in ("", "orders", "{}", "[]", '{"queue": 1}', '{"queue": "orders", "count": "many"}', "\x01"):
            execute(own_database_url, "SELECT pg_notify('sqslite_wakeups', %s)", payload)
        await there.has_woken(within_s=0)
        execute(own_database_url, "SELECT pg_notify('sqslite_wakeups', %s)", '{"queue": "orders"}')
        await there.has_woken("a")
    assert listeners(own_database_url) == before
    assert logs == []


async def test_a_burst_of_notices_is_sent_as_a_few_and_nothing_is_sent_when_it_is_over(
    nodes: list[Node], own_database_url: str
):
    here, _ = nodes
    here.wakeups.notify("warm", 1)
    await asyncio.sleep(QUIET_S)
    async with await psycopg.AsyncConnection.connect(own_database_url, autocommit=True) as listener:
        await listener.execute("LISTEN sqslite_wakeups")
        started_s = time.monotonic()
        for n in range(1_000):
            here.wakeups.notify("orders", 1)
            if n % 10 == 0:
                await asyncio.sleep(0.001)
        lasted_ms = (time.monotonic() - started_s) * SECOND_MS
        sent = [json.loads(each.payload) async for each in listener.notifies(timeout=10 * QUIET_S)]
    assert sum(hint.get("count", 1) for hint in sent) == 1_000
    assert {hint["queue"] for hint in sent} == {"orders"}
    assert 2 <= len(sent) <= lasted_ms / SEND_EVERY_MS + 2


async def test_a_node_hears_what_it_sends_itself_and_tells_when_it_does_not(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
):
    here, _ = nodes
    monkeypatch.setattr(postgres, "UNHEARD_MS_MAX", 2 * QUIET_S * SECOND_MS)
    with capture_logs() as logs:
        for _ in range(6):
            here.wakeups.notify("orders", 1)
            await asyncio.sleep(3 * QUIET_S)
        assert logs == []
        # What a pooler does that lends the session to somebody else: the hints are sent, and come to nobody.
        monkeypatch.setattr(postgres, "hint_of", lambda text: None)
        for _ in range(4):
            here.wakeups.notify("orders", 1)
            await asyncio.sleep(3 * QUIET_S)
    assert [entry["event"] for entry in logs] == ["wakeups_unheard"]


async def test_a_listener_that_is_killed_comes_back_and_wakes_whoever_may_have_missed_something(
    nodes: list[Node], own_database_url: str
):
    here, there = nodes
    await there.park("a", "b")
    await there.park("other", queue="other")
    with capture_logs() as logs:
        execute(own_database_url, f"SELECT pg_terminate_backend(pid, 5000) FROM ({LISTENERS}) AS listening")
        # Nobody sends anything: it is the return that wakes one of each queue.
        await until(lambda: len(there.woken) == 2, SOON_S)
        assert sorted(there.woken) == ["a", "other"]
        await until(lambda: len(listeners(own_database_url)) == 2)
        here.wakeups.notify("orders", 1)
        await until(lambda: len(there.woken) == 3, SOON_S)
    events = [(entry["log_level"], entry["event"]) for entry in logs]
    assert sorted(events) == [("info", "wakeups_heard_again")] * 2 + [("warning", "wakeups_not_heard")] * 2


async def test_a_sender_whose_connection_was_ended_while_idle_loses_nothing(nodes: list[Node], own_database_url: str):
    here, there = nodes
    await there.park("a", "b")
    here.wakeups.notify("orders", 1)
    await there.has_woken("a")
    execute(
        own_database_url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'sqslite wakeups' AND query LIKE '%pg_notify%'",
    )
    with capture_logs() as logs:
        here.wakeups.notify("orders", 1)
        await there.has_woken("a", "b")
    assert [entry["event"] for entry in logs] == ["wakeups_not_sent", "wakeups_sent_again"]


async def test_while_the_database_is_away_notices_cost_nothing_and_waiters_look_by_themselves(
    private_postgres: PostgresServer,
):
    async with opened(private_postgres.url) as (here, there):
        await there.park("a", "b")
        with capture_logs() as logs:
            private_postgres.kill()
            started_s = time.monotonic()
            for n in range(2 * PENDING_QUEUES_MAX):
                here.wakeups.notify(f"q{n}", 1)
            assert time.monotonic() - started_s < SOON_S
            await until(lambda: there.woken == ["a"], 3 * LOOK_EVERY_MS / SECOND_MS)
            assert there.woken == ["a"]
        assert sorted(entry["event"] for entry in logs if entry["log_level"] == "warning") == [
            "wakeups_not_heard",
            "wakeups_not_heard",
            "wakeups_not_sent",
        ]
        await asyncio.to_thread(private_postgres.start)
        await until(lambda: len(listeners(private_postgres.url)) == 2)
        await there.park("late", queue="late")
        here.wakeups.notify("late", 1)
        await until(lambda: "late" in there.woken, SOON_S)
        assert "late" in there.woken


async def test_wake_ups_open_without_a_server_and_find_it_when_it_comes(private_postgres: PostgresServer):
    private_postgres.kill()
    nodes = [Node(private_postgres.url) for _ in range(2)]
    try:
        for node in nodes:
            await asyncio.wait_for(node.wakeups.open(), SOON_S)
        await nodes[1].park("a", "b")
        await asyncio.to_thread(private_postgres.start)
        await until(lambda: len(listeners(private_postgres.url)) == 2)
        await until(lambda: bool(nodes[1].woken), SOON_S)
        nodes[0].wakeups.notify("orders", 1)
        await until(lambda: nodes[1].woken == ["a", "b"], SOON_S)
        assert nodes[1].woken == ["a", "b"]
    finally:
        for node in nodes:
            await node.wakeups.close()


async def test_a_server_that_does_not_answer_holds_up_neither_notices_nor_the_end(private_postgres: PostgresServer):
    async with opened(private_postgres.url) as (here, _):
        private_postgres.freeze()
        try:
            started_s = time.monotonic()
            for _ in range(10):
                here.wakeups.notify("orders", 1)
                await asyncio.sleep(0.01)
            await here.wakeups.close()
            assert time.monotonic() - started_s < 2 * postgres.CLOSING_S_MAX
        finally:
            private_postgres.thaw()


async def test_a_process_holds_two_connections_and_none_when_it_is_closed(own_database_url: str):
    def held() -> int:
        with psycopg.connect(own_database_url) as observer:
            (count,) = observer.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'sqslite wakeups'"
            ).fetchone()
        return count

    async with opened(own_database_url, 1) as (node,):
        for n in range(500):
            await node.park(f"w{n}", queue=f"q{n % 10}")
        node.wakeups.notify("q0", 3)
        await until(lambda: held() == 2)
        await asyncio.sleep(QUIET_S)
        assert held() == 2
    await until(lambda: held() == 0)
    assert held() == 0


async def test_no_wake_up_is_lost_however_an_enqueue_elsewhere_meets_a_receive_that_is_about_to_wait(
    own_database_url: str,
):
    """Each round ends by its message, not by its time: that is too short for a look to find it."""
    entropy, chance = SystemEntropy(), random.Random(SEED)
    backends = [PostgresBackend(own_database_url, pool_size=2) for _ in range(2)]
    for backend in backends:
        await backend.open()
    await backends[0].migrate()
    queue = await backends[0].catalog.ensure("orders", QueueSettings())

    async with opened(own_database_url) as (here, there):

        async def enqueue_after(pause_s: float) -> int:
            await asyncio.sleep(pause_s)
            (sent,) = await backends[0].store.enqueue(queue, [message()])
            here.wakeups.notify("orders", 1)
            return sent.id

        async def received() -> list[int]:
            with there.wakeups.watching("orders") as watch:
                until = clock.now() + ms(SOON_S * SECOND_MS)
                while clock.now() < until:
                    found = await backends[1].store.claim(
                        queue, Claim(limit=1, visibility_ms=60_000, secrets=entropy.secrets(1))
                    )
                    if found:
                        return [delivery.message.id for delivery in found]
                    # Long enough for the notice to come just now: after the claim, before the wait.
                    await asyncio.sleep(chance.uniform(0, 0.006))
                    await watch.wait(until)
                return []

        try:
            for _ in range(ROUNDS):
                sent, claimed = await asyncio.gather(enqueue_after(chance.uniform(0, 0.006)), received())
                assert claimed == [sent]
        finally:
            for backend in backends:
                await backend.close()


@contextlib.contextmanager
def two_servers(url: str, folder: Path, *arguments: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    (folder / "second").mkdir()
    with serving(url, folder, *arguments) as first, serving(url, folder / "second", *arguments) as second:
        yield first, second


@contextlib.contextmanager
def sweeping(url: str, log: Path) -> Iterator[None]:
    """`sqslite sweeper`, a process of its own."""
    command = [sys.executable, "-m", "sqslite", "sweeper"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment(url), stdout=out, stderr=out, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(STOP_S_MAX) == 0, log.read_text()


def client(server: ServerProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=2 * ANSWERED_S_MAX)


def parked(client: httpx.AsyncClient, **fields: int) -> asyncio.Task[httpx.Response]:
    asked = {"wait_ms": 20_000, "max": 1, **fields}
    return asyncio.ensure_future(client.post("/v1/queues/orders:receive", json=asked))


async def test_a_poll_parked_at_one_server_is_answered_by_an_enqueue_at_another(own_database_url: str, tmp_path: Path):
    rounds_s = []
    with two_servers(own_database_url, tmp_path) as (first, second):
        async with (
            httpx.AsyncClient(base_url=first.url) as producer,
            httpx.AsyncClient(base_url=second.url) as consumer,
        ):
            await until(lambda: len(listeners(own_database_url)) == 2)
            for _ in range(9):
                poll = parked(consumer)
                # It looks on its seconds; parked for this long its next look is far off.
                await asyncio.sleep(0.2)
                started_s = time.monotonic()
                sent = (await producer.post("/v1/queues/orders/messages", json={"body": 1})).json()["id"]
                received = (await asyncio.wait_for(poll, ANSWERED_S_MAX)).json()
                rounds_s.append(time.monotonic() - started_s)
                assert [each["id"] for each in received] == [sent]
    assert statistics.median(rounds_s) < SOON_S / 2, rounds_s


async def test_a_sweeper_that_runs_apart_wakes_polls_parked_at_servers(own_database_url: str, tmp_path: Path):
    """The poll looks at 1 s and 2 s; the lease ends halfway between."""
    rounds_s = []
    with (
        serving(own_database_url, tmp_path, "--no-sweeper") as server,
        sweeping(own_database_url, tmp_path / "sweeper.log"),
    ):
        async with client(server) as asking:
            await until(lambda: len(listeners(own_database_url)) == 2)
            for _ in range(3):
                sent = (await asking.post("/v1/queues/orders/messages", json={"body": 1})).json()["id"]
                started_s = time.monotonic()
                await parked(asking, visibility_ms=1_500)
                received = (await asyncio.wait_for(parked(asking), ANSWERED_S_MAX)).json()
                rounds_s.append(time.monotonic() - started_s)
                assert [each["id"] for each in received] == [sent]
                await asking.post(f"/v1/messages/{sent}:ack", json={"receipt": received[0]["receipt"]})
    assert min(rounds_s) >= 1.5
    assert statistics.median(rounds_s) < 1.9, rounds_s
