"""What is counted, under which names, and how it is shown."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.metrics import Exposition, PrometheusMetrics
from sqslite.adapters.metrics_shared import SHARED_DIR_VARIABLE, prepare_multiprocess_dir
from sqslite.adapters.stores.measured import MeasuredStore
from sqslite.adapters.stores.memory import MemoryBackend
from sqslite.domain.errors import StoreUnavailable
from sqslite.domain.leases import SECRET_BYTES
from sqslite.domain.messages import Accepted, NewMessage
from sqslite.domain.ports import Claim, Depth, Observer
from sqslite.domain.queues import Queue, QueueSettings

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

# One worker process of a server: it counts `argv[1]` of everything and, where told to, shows what all counted.
WORKER = """
import asyncio, sys
from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.metrics import Exposition, PrometheusMetrics
from sqslite.adapters.stores.memory import MemoryBackend

clock = VirtualClock()
metrics = PrometheusMetrics(clock)
count = int(sys.argv[1])
for _ in range(count):
    metrics.enqueued("orders", 2)
    metrics.acked([500, -1])
    metrics.http_answered("POST", "/v1/messages/{id}:ack", 200, 0.002)
print("counted", flush=True)
sys.stdin.readline()
backend = MemoryBackend(clock)
sys.stdout.buffer.write(asyncio.run(Exposition(metrics, backend.catalog, backend.stats, clock).render()))
"""


def samples_of(text: bytes) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value_of(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


class World:
    """Metrics and their exposition over a memory store; `stats_error` set makes the store fail."""

    def __init__(self, queue_labels_max: int = 1_000, queues_max: int = 200) -> None:
        self.clock = VirtualClock()
        self.backend = MemoryBackend(self.clock)
        self.metrics = PrometheusMetrics(self.clock, queue_labels_max)
        self.exposition = Exposition(
            self.metrics, self.backend.catalog, self, self.clock, queues_max=queues_max, cached_ms=5_000
        )
        self.asked_for: list[list[str]] = []
        self.stats_error: Exception | None = None

    async def depths(self, queues: Sequence[Queue]) -> list[Depth]:
        self.asked_for.append([queue.name for queue in queues])
        await asyncio.sleep(0)
        if self.stats_error:
            raise self.stats_error
        return await self.backend.stats.depths(queues)

    async def queue(self, name: str) -> Queue:
        return await self.backend.catalog.ensure(name, QueueSettings())

    async def shown(self) -> Samples:
        return samples_of(await self.exposition.render())


async def test_names_and_labels_are_those_of_the_reference_and_a_few_beside_them() -> None:
    world = World()
    observer: Observer = world.metrics
    await world.backend.store.enqueue(await world.queue("orders"), [MESSAGE])
    observer.enqueued("orders", 3)
    observer.claimed("orders", 2)
    observer.acked([10, 20])
    observer.requeued(4)
    observer.dead_lettered(5)
    observer.expired(6)
    observer.redriven(7)
    observer.redrive_failed(StoreUnavailable("gone"), 250)
    observer.swept(0.25)
    observer.sweep_failed(StoreUnavailable("gone"), 250)
    world.metrics.http_answered("GET", "/healthz", 200, 0.001)
    world.metrics.grpc_answered("Stats", "ok", 0.001)
    world.metrics.store_called("claim", 0.001, "store_unavailable")
    shown = await world.shown()

    assert value_of(shown, "sqs_messages_enqueued_total", queue="orders") == 3
    assert value_of(shown, "sqs_messages_received_total", queue="orders") == 2
    assert value_of(shown, "sqs_messages_acked_total") == 2
    assert value_of(shown, "sqs_messages_requeued_total") == 4
    assert value_of(shown, "sqs_messages_dlq_total") == 5
    assert value_of(shown, "sqs_messages_expired_total") == 6
    assert value_of(shown, "sqs_messages_redriven_total") == 7
    assert value_of(shown, "sqs_redrive_errors_total") == 1
    assert value_of(shown, "sqs_sweeper_duration_seconds_sum") == 0.25
    assert value_of(shown, "sqs_sweeper_errors_total") == 1
    labels: dict[str, set[tuple[str, ...]]] = {}
    for name, of_sample in shown:
        labels.setdefault(name, set()).add(tuple(label for label, _ in of_sample))
    assert labels == {
        "sqs_messages_enqueued_total": {("queue",)},
        "sqs_messages_received_total": {("queue",)},
        "sqs_messages_acked_total": {()},
        "sqs_messages_requeued_total": {()},
        "sqs_messages_dlq_total": {()},
        "sqs_messages_expired_total": {()},
        "sqs_messages_redriven_total": {()},
        "sqs_redrive_errors_total": {()},
        **histogram("sqs_sweeper_duration_seconds"),
        "sqs_sweeper_errors_total": {()},
        "sqs_sweeper_last_success_timestamp_seconds": {()},
        **histogram("sqs_lease_age_at_ack_seconds"),
        **histogram("sqs_http_request_duration_seconds", "method", "route", "status"),
        **histogram("sqs_grpc_call_duration_seconds", "method", "status"),
        **histogram("sqs_store_call_duration_seconds", "method"),
        "sqs_store_errors_total": {("code", "method")},
        "sqs_build_info": {("python", "version")},
        "sqs_queue_messages": {("queue", "state")},
        "sqs_queue_oldest_ready_age_seconds": {("queue",)},
    }


def histogram(name: str, *labels: str) -> dict[str, set[tuple[str, ...]]]:
    return {
        f"{name}_bucket": {tuple(sorted((*labels, "le")))},
        f"{name}_count": {labels},
        f"{name}_sum": {labels},
    }


async def test_counters_without_labels_are_there_from_the_start() -> None:
    shown = await World().shown()
    for name in ("acked", "requeued", "dlq"):
        assert value_of(shown, f"sqs_messages_{name}_total") == 0
    assert value_of(shown, "sqs_sweeper_errors_total") == 0
    assert value_of(shown, "sqs_sweeper_duration_seconds_count") == 0


async def test_queues_beyond_the_bound_share_one_label_value() -> None:
    world = World(queue_labels_max=2)
    for queue in ("a", "b", "c", "d", "a", "c"):
        world.metrics.enqueued(queue, 1)
    world.metrics.claimed("d", 7)
    shown = await world.shown()
    enqueued = {dict(labels)["queue"]: value for (name, labels), value in shown.items() if "enqueued" in name}
    assert enqueued == {"a": 2, "b": 1, "(other)": 3}
    assert value_of(shown, "sqs_messages_received_total", queue="(other)") == 7


async def test_within_the_bound_no_queue_is_called_other() -> None:
    world = World(queue_labels_max=2)
    world.metrics.enqueued("a", 1)
    world.metrics.enqueued("b", 1)
    assert b"(other)" not in await world.exposition.render()


async def test_a_message_acked_without_a_claim_counts_but_has_no_age() -> None:
    world = World()
    world.metrics.acked([1_500.0, -1.0])
    shown = await world.shown()
    assert value_of(shown, "sqs_messages_acked_total") == 2
    assert value_of(shown, "sqs_lease_age_at_ack_seconds_count") == 1
    assert value_of(shown, "sqs_lease_age_at_ack_seconds_sum") == 1.5


async def test_the_end_of_the_last_sweep_that_succeeded_is_shown() -> None:
    world = World()
    world.metrics.swept(0.1)
    world.clock.shift(timedelta(minutes=1))
    world.metrics.sweep_failed(StoreUnavailable("gone"), 250)
    shown = await world.shown()
    succeeded_at = (world.clock.now() - timedelta(minutes=1)).timestamp()
    assert value_of(shown, "sqs_sweeper_last_success_timestamp_seconds") == succeeded_at


def test_a_failed_sweep_is_logged_with_its_traceback_only_where_it_is_a_defect() -> None:
    metrics, defect = World().metrics, KeyError("x")
    with capture_logs() as logs:
        metrics.sweep_failed(StoreUnavailable("gone"), 500)
        metrics.sweep_failed(defect, 1_000)
    refusal, bug = logs
    assert refusal == {
        "event": "sweep_failed",
        "log_level": "warning",
        "error": "StoreUnavailable",
        "text": "gone",
        "retry_in_ms": 500,
        "exc_info": None,
    }
    assert (bug["error"], bug["retry_in_ms"], bug["exc_info"]) == ("KeyError", 1_000, defect)


async def test_every_store_call_is_measured_and_its_error_counted_by_code() -> None:
    world = World()
    store = MeasuredStore(world.backend.store, world.metrics)
    queue = await world.queue("orders")

    async def fail_with(error: BaseException) -> None:
        async def call() -> None:
            raise error

        with pytest.raises(type(error)):
            await store.intercept("settle", call)

    assert await store.enqueue(queue, [MESSAGE]) == [Accepted(1)]
    assert len(await store.claim(queue, CLAIM)) == 1
    await fail_with(StoreUnavailable("gone"))
    await fail_with(ZeroDivisionError())
    await fail_with(asyncio.CancelledError())
    shown = await world.shown()
    calls = {method: value_of(shown, "sqs_store_call_duration_seconds_count", method=method) for method in METHODS}
    assert calls == {"enqueue": 1, "claim": 1, "settle": 3}
    errors = {labels: value for (name, labels), value in shown.items() if name == "sqs_store_errors_total"}
    assert errors == {
        (("code", "store_unavailable"), ("method", "settle")): 1,
        (("code", "internal"), ("method", "settle")): 1,
    }


MESSAGE = NewMessage(body=b"1", retention_ms=0)
CLAIM = Claim(limit=1, visibility_ms=30_000, secrets=bytes(SECRET_BYTES))
METHODS = ("enqueue", "claim", "settle")


async def test_depths_and_ages_are_shown_by_queue() -> None:
    world = World()
    queue = await world.queue("orders")
    await world.queue("empty")
    await world.backend.store.enqueue(queue, [MESSAGE] * 3 + [NewMessage(body=b"1", delay_ms=60_000, retention_ms=0)])
    world.clock.shift(timedelta(seconds=2))
    await world.backend.store.claim(queue, CLAIM)
    shown = await world.shown()
    assert value_of(shown, "sqs_queue_messages", queue="orders", state="ready") == 2
    assert value_of(shown, "sqs_queue_messages", queue="orders", state="delayed") == 1
    assert value_of(shown, "sqs_queue_messages", queue="orders", state="in_flight") == 1
    assert value_of(shown, "sqs_queue_oldest_ready_age_seconds", queue="orders") == 2
    assert value_of(shown, "sqs_queue_messages", queue="empty", state="ready") == 0
    assert value_of(shown, "sqs_queue_oldest_ready_age_seconds", queue="empty") == 0


async def test_only_the_first_queues_by_name_have_depths() -> None:
    world = World(queues_max=2)
    for name in ("c", "a", "b"):
        await world.queue(name)
    await world.shown()
    assert world.asked_for == [["a", "b"]]


async def test_depths_are_read_again_only_after_the_cache_time() -> None:
    world = World()
    queue = await world.queue("orders")

    async def ready() -> float | None:
        return value_of(await world.shown(), "sqs_queue_messages", queue="orders", state="ready")

    assert await ready() == 0
    await world.backend.store.enqueue(queue, [MESSAGE])
    world.clock.shift(timedelta(milliseconds=4_999))
    assert await ready() == 0
    world.clock.shift(timedelta(milliseconds=1))
    assert await ready() == 1
    assert len(world.asked_for) == 2


async def test_scrapes_at_the_same_time_share_one_reading() -> None:
    world = World()
    await world.queue("orders")
    texts = await asyncio.gather(*(world.exposition.render() for _ in range(5)))
    assert len(world.asked_for) == 1
    assert all(b'sqs_queue_messages{queue="orders",state="ready"} 0.0' in text for text in texts)


@pytest.mark.parametrize(
    ("error", "code"), [(StoreUnavailable("gone"), "store_unavailable"), (ZeroDivisionError(), "internal")]
)
async def test_a_failing_store_costs_the_depths_and_nothing_else(error: Exception, code: str) -> None:
    world = World()
    await world.queue("orders")
    world.metrics.enqueued("orders", 1)
    world.stats_error = error
    with capture_logs() as logs:
        shown = await world.shown()
        await world.shown()
    assert [line["event"] for line in logs] == ["depths_missing"]
    assert not [name for name, _ in shown if name.startswith("sqs_queue_")]
    assert value_of(shown, "sqs_messages_enqueued_total", queue="orders") == 1
    assert value_of(shown, "sqs_store_errors_total", method="depths", code=code) == 1

    world.stats_error = None
    world.clock.shift(timedelta(seconds=5))
    assert value_of(await world.shown(), "sqs_queue_messages", queue="orders", state="ready") == 0


async def test_a_store_that_does_not_answer_costs_the_depths_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqslite.adapters.metrics.exposition.DEPTHS_S_MAX", 0.01)
    world = World()
    await world.queue("orders")

    async def never(queues: Sequence[Queue]) -> list[Depth]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(world, "depths", never)
    async with asyncio.timeout(5):
        shown = await world.shown()
    assert not [name for name, _ in shown if name.startswith("sqs_queue_")]
    assert value_of(shown, "sqs_store_errors_total", method="depths", code="internal") == 1


def test_the_content_type_is_that_of_the_text_format() -> None:
    assert World().exposition.content_type.startswith("text/plain; version=")


def test_counts_of_worker_processes_are_summed_exactly_also_when_one_has_died() -> None:
    with prepare_multiprocess_dir():
        first, second = start_worker(3), start_worker(4)
        assert (first.stdout.readline(), second.stdout.readline()) == (b"counted\n", b"counted\n")
        first.kill()
        first.communicate()
        text, _ = second.communicate(b"show\n")
    shown = samples_of(text)
    assert value_of(shown, "sqs_messages_enqueued_total", queue="orders") == 14
    assert value_of(shown, "sqs_messages_acked_total") == 14
    assert value_of(shown, "sqs_lease_age_at_ack_seconds_count") == 7
    assert value_of(shown, "sqs_lease_age_at_ack_seconds_sum") == 3.5
    assert value_of(shown, "sqs_lease_age_at_ack_seconds_bucket", le="0.5") == 7
    route = {"method": "POST", "route": "/v1/messages/{id}:ack", "status": "200"}
    assert value_of(shown, "sqs_http_request_duration_seconds_count", **route) == 7
    assert [value for (name, _), value in shown.items() if name == "sqs_build_info"] == [1]
    assert not [name for name, labels in shown if "pid" in dict(labels) or name.endswith("_created")]


def start_worker(count: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)
    )


FORKED = """
import asyncio, os
from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.metrics import PrometheusMetrics
from sqslite.adapters.metrics_shared import prepare_multiprocess_dir

with prepare_multiprocess_dir():
    for _ in range(2):
        if os.fork() == 0:
            PrometheusMetrics(VirtualClock()).requeued(5)
            os._exit(0)
        os.wait()
    families = {family.name: family for family in PrometheusMetrics(VirtualClock()).collect()}
    print(families["sqs_messages_requeued"].samples[0].value)
"""


def test_workers_forked_by_a_parent_that_knew_the_library_before_share_their_counts_too() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, check=True)
    assert done.stdout == b"10.0\n"


def test_the_shared_directory_is_there_while_needed_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHARED_DIR_VARIABLE, "before")
    with prepare_multiprocess_dir() as directory:
        assert os.environ[SHARED_DIR_VARIABLE] == str(directory)
        assert list(directory.iterdir()) == []
        Path(directory, "counter_1.db").touch()
    assert not directory.exists()
    assert os.environ[SHARED_DIR_VARIABLE] == "before"
    monkeypatch.delenv(SHARED_DIR_VARIABLE)
    with prepare_multiprocess_dir():
        pass
    assert SHARED_DIR_VARIABLE not in os.environ


def test_preparing_the_shared_directory_does_not_import_the_library() -> None:
    code = "import sys, sqslite.adapters.metrics_shared; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"False\n"
