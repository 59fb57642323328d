"""What can be seen of a worker: metrics, spans, and what importing it brings along."""

import asyncio
import subprocess
import sys

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sqslite.entrypoints.worker import Retry, Worker
from sqslite.entrypoints.worker.metrics import WorkerMetrics
from sqslite.entrypoints.worker.tracing import OpenTelemetry
from tests.unit.node import message
from tests.unit.serving import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_metrics_count_what_became_of_messages(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    shown = []
    serve = WorkerMetrics.serve
    monkeypatch.setattr(WorkerMetrics, "serve", lambda *at: shown.append(serve(*at)) or shown[0])
    worker = bench.worker(metrics_port=0)

    @worker.task(queue="orders")
    async def ship(order: int) -> None:
        if order < 0:
            raise Retry(after=60)

    async with bench.serving(worker):
        await bench.own.enqueue(message(b"1"), message(b"2"), message(b"-1"), message(b'""', dlq="dead"))
        await bench.rest()
        address = "http://{}:{}/metrics".format(*shown[0].server_address[:2])
        async with httpx.AsyncClient() as client:
            lines = (await client.get(address)).text.splitlines()
    assert 'sqs_worker_messages_total{outcome="acked",queue="orders"} 2.0' in lines
    assert 'sqs_worker_messages_total{outcome="retried",queue="orders"} 1.0' in lines
    assert 'sqs_worker_messages_total{outcome="undecodable",queue="orders"} 1.0' in lines
    assert 'sqs_worker_running{queue="orders"} 0.0' in lines
    assert 'sqs_worker_handler_seconds_count{queue="orders"} 4.0' in lines


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    init = OpenTelemetry.__init__
    monkeypatch.setattr(OpenTelemetry, "__init__", lambda self: init(self, provider))
    return exporter


async def test_the_span_of_a_handler_is_a_child_of_its_senders(bench: Bench, spans: InMemorySpanExporter):
    worker = bench.worker(tracing=True)

    @worker.task(queue="orders")
    async def ship(order: int) -> None:
        if order:
            await ship.enqueue(order - 1)
        else:
            raise ValueError("zero")

    await ship.enqueue(1, attributes={"priority": "high"}, dlq="dead", max_retries=1)
    (waiting,) = await bench.left()
    assert waiting.attributes.keys() == {"priority", "traceparent"}
    async with bench.serving(worker):
        await bench.rest()
    finished = {(span.name, index): span for index, span in enumerate(spans.get_finished_spans())}
    names = [name for name, _ in finished]
    assert names[:3] == ["send orders", "send orders", "process orders"]
    first, second, handled, failed = [*finished.values()][:4]
    assert handled.parent.span_id == first.context.span_id
    assert second.parent.span_id == handled.context.span_id
    assert failed.parent.span_id == second.context.span_id
    assert {span.context.trace_id for span in finished.values()} == {first.context.trace_id}
    assert handled.attributes["messaging.message.id"] == str(waiting.id)
    assert (handled.status.is_ok, failed.status.is_ok) == (True, False)


async def test_the_span_of_a_batch_is_linked_to_its_messages(bench: Bench, spans: InMemorySpanExporter):
    worker = bench.worker(tracing=True)

    @worker.task(queue="orders", batch=10)
    async def ship(orders: list[int]) -> None:
        bench.seen.append(orders)

    await ship.enqueue(1)
    await ship.enqueue(2)
    async with bench.serving(worker):
        pass
    one, other, handled = spans.get_finished_spans()
    assert bench.seen == [[1, 2]]
    assert handled.parent is None
    assert [link.context.span_id for link in handled.links] == [one.context.span_id, other.context.span_id]


async def test_the_span_of_a_handler_that_is_cancelled_says_so(bench: Bench, spans: InMemorySpanExporter):
    worker = bench.worker(tracing=True)

    @worker.task(queue="orders", timeout=2)
    async def ship(order: int) -> None:
        await asyncio.Event().wait()

    await ship.enqueue(1, dlq="dead", max_retries=1)
    async with bench.serving(worker):
        await bench.advance_s(3)
    handled = spans.get_finished_spans()[-1]
    assert (handled.status.status_code.name, handled.status.description) == ("ERROR", "CancelledError")


def test_tracing_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"sqslite\[otel\]"):
        Worker("http://127.0.0.1:1", tracing=True)


def test_importing_the_worker_brings_no_server_and_no_option_along():
    program = """
import sys
from sqslite.entrypoints.worker import Worker
worker = Worker("http://127.0.0.1:1")
worker.task(queue="orders")(lambda order: None)
unwanted = {"litestar", "granian", "dependency_injector", "psycopg", "click", "rich", "uvloop", "aiosqlite",
            "prometheus_client", "opentelemetry", "pydantic", "structlog"}
print(sorted(unwanted & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
