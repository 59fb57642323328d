"""A worker's metrics for Prometheus, in a registry of their own."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from sqslite.entrypoints.worker.verdicts import Outcome

DURATION_S_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)


class WorkerMetrics:
    """Counts what a worker does."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self._messages = Counter(
            "sqs_worker_messages_total",
            "Messages worked on, by how it ended.",
            ["queue", "outcome"],
            registry=own,
        )
        self._running = Gauge("sqs_worker_running", "Handlers at work.", ["queue"], registry=own)
        self._duration = Histogram(
            "sqs_worker_handler_seconds",
            "From the start of a handler until its messages are settled.",
            ["queue"],
            buckets=DURATION_S_BUCKETS,
            registry=own,
        )
        self._extended = Counter("sqs_worker_leases_extended_total", "Leases extended by heartbeats.", registry=own)
        self._failures = Counter(
            "sqs_worker_call_failures_total",
            "Calls of the server that failed and were tried again.",
            ["call"],
            registry=own,
        )

    def serve(self, host: str, port: int) -> Any:
        """Show them at `http://host:port/metrics` from a thread; what is returned can be shut down."""
        server, _ = start_http_server(port, host, registry=self.registry)
        return server

    def began(self, queue: str) -> None:
        """A handler was started."""
        self._running.labels(queue).inc()

    def ended(self, queue: str, duration_s: float, outcomes: list[Outcome]) -> None:
        """A handler ended after that many seconds, with an outcome for each of its messages."""
        self._running.labels(queue).dec()
        self._duration.labels(queue).observe(duration_s)
        for outcome in outcomes:
            self._messages.labels(queue, outcome).inc()

    def extended(self, count: int) -> None:
        """`count` leases were extended."""
        self._extended.inc(count)

    def call_failed(self, call: str) -> None:
        """A call of the server failed and will be tried again."""
        self._failures.labels(call).inc()
