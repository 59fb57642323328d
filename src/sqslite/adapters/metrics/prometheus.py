"""Everything that is counted and timed, under the names that the reference gave it."""

import platform
from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib.metadata import version
from time import perf_counter
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from structlog import get_logger

from sqslite.adapters.metrics.numbers import Counts, Durations, Numbers
from sqslite.adapters.metrics_shared import shared_dir
from sqslite.domain.errors import SqsliteError
from sqslite.domain.limits import SECOND_MS
from sqslite.domain.ports import Clock

QUEUE_LABELS_MAX = 1_000
# Parentheses are in no queue name, so this is never taken for a queue.
OTHER_QUEUES = "(other)"
INTERNAL_ERROR = "internal"

SWEEP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STORE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# Beyond the store's: a long poll is answered after up to 20 s.
HTTP_BUCKETS_S = (*STORE_BUCKETS_S, 10, 20)
# From a handler that does nothing to the 12 hours that a lease may last.
LEASE_BUCKETS_S = (0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 43_200)

T = TypeVar("T")

log = get_logger()


class PrometheusMetrics:
    """Counts what happens in this process: the domain's Observer, and the same for HTTP and store calls.

    Where the parent process made a shared directory, `collect` gives exact sums over all its workers.
    At most `queue_labels_max` queues, the first to be heard of, have label values of their own.
    """

    def __init__(self, clock: Clock, queue_labels_max: int = QUEUE_LABELS_MAX) -> None:
        self._clock = clock
        directory = shared_dir()
        # The library decides between own and shared counts when it is imported, which a forked worker's
        # parent did before it made the directory; so the decision is taken again here.
        if values.ValueClass._multiprocess != bool(directory):
            values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # untyped in the library
        # When each series began is of no use here and would double the list that people read.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library
        self._build = (version("sqslite"), platform.python_version())
        own = CollectorRegistry()
        self._counts = MultiProcessCollector(None, str(directory)) if directory else own  # type: ignore[no-untyped-call]
        self._by_queue = _ByQueue(own, queue_labels_max)
        self._acked = Counts("sqs_messages_acked", "Messages acknowledged.", (), own).of()
        self._requeued = Counter(
            "sqs_messages_requeued_total", "Messages made available again after a lease ended unacked.", registry=own
        )
        self._dead_lettered = Counter(
            "sqs_messages_dlq_total", "Messages moved to their dead-letter queue.", registry=own
        )
        self._expired = Counter(
            "sqs_messages_expired_total", "Messages deleted because their retention was over.", registry=own
        )
        self._redriven = Counter("sqs_messages_redriven_total", "Dead letters moved on by redrive tasks.", registry=own)
        self._redrives_failed = Counter("sqs_redrive_errors_total", "Steps of redrives that failed.", registry=own)
        self._lease_age = Durations(
            "sqs_lease_age_at_ack_seconds", "Time from a message's claim to its ack.", (), LEASE_BUCKETS_S, own
        )
        # Shown from the start.
        self._lease_age.of()
        self._sweeps = Histogram(
            "sqs_sweeper_duration_seconds", "Duration of a sweep.", buckets=SWEEP_BUCKETS_S, registry=own
        )
        self._sweeps_failed = Counter("sqs_sweeper_errors_total", "Sweeps that failed.", registry=own)
        self._swept_at = Gauge(
            "sqs_sweeper_last_success_timestamp_seconds",
            "When the last successful sweep ended, as Unix time; 0: none yet.",
            multiprocess_mode="max",
            registry=own,
        )
        self._http = Durations(
            "sqs_http_request_duration_seconds",
            "Duration of HTTP requests, by route and status.",
            ("method", "route", "status"),
            HTTP_BUCKETS_S,
            own,
        )
        self._grpc = Durations(
            "sqs_grpc_call_duration_seconds",
            "Duration of gRPC calls and streams, by method and status.",
            ("method", "status"),
            HTTP_BUCKETS_S,
            own,
        )
        self._store = Durations(
            "sqs_store_call_duration_seconds",
            "Duration of calls to the message store.",
            ("method",),
            STORE_BUCKETS_S,
            own,
        )
        self._store_errors = Counter(
            "sqs_store_errors_total", "Calls to the message store that failed.", ("method", "code"), registry=own
        )

    def enqueued(self, queue: str, count: int) -> None:
        """See Observer."""
        self._by_queue.of(queue)[0][0] += count

    def claimed(self, queue: str, count: int) -> None:
        """See Observer."""
        self._by_queue.of(queue)[1][0] += count

    def acked(self, lease_age_ms: Sequence[float]) -> None:
        """See Observer."""
        self._acked[0] += len(lease_age_ms)
        for age_ms in lease_age_ms:
            if age_ms >= 0:
                self._lease_age.observe((), age_ms / SECOND_MS)

    def requeued(self, count: int) -> None:
        """See Observer."""
        self._requeued.inc(count)

    def dead_lettered(self, count: int) -> None:
        """See Observer."""
        self._dead_lettered.inc(count)

    def expired(self, count: int) -> None:
        """See Observer."""
        self._expired.inc(count)

    def redriven(self, count: int) -> None:
        """See Observer."""
        self._redriven.inc(count)

    def redrive_failed(self, error: Exception, retry_in_ms: int) -> None:
        """See Observer."""
        self._redrives_failed.inc()
        self._log_failure("redrive_failed", error, retry_in_ms)

    def swept(self, duration_s: float) -> None:
        """See Observer."""
        self._sweeps.observe(duration_s)
        self._swept_at.set(self._clock.now().timestamp())

    def sweep_failed(self, error: Exception, retry_in_ms: int) -> None:
        """See Observer."""
        self._sweeps_failed.inc()
        self._log_failure("sweep_failed", error, retry_in_ms)

    def _log_failure(self, event: str, error: Exception, retry_in_ms: int) -> None:
        log.warning(
            event,
            error=type(error).__name__,
            text=str(error),
            retry_in_ms=retry_in_ms,
            # A refusal explains itself; anything else is a defect, and its traceback finds it.
            exc_info=None if isinstance(error, SqsliteError) else error,
        )

    def http_answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """A request was answered; `route` is the path's pattern, never the path itself."""
        self._http.observe((method, route, str(status)), duration_s)

    def grpc_answered(self, method: str, status: str, duration_s: float) -> None:
        """A call or stream ended; `status` is the name of its status in lower case."""
        self._grpc.observe((method, status), duration_s)

    def store_called(self, method: str, duration_s: float, error_code: str | None) -> None:
        """A store call ended; `error_code` None: it did not fail."""
        self._store.observe((method,), duration_s)
        if error_code is not None:
            self._store_errors.labels(method, error_code).inc()

    async def measured(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make the store call of that name and tell how it went."""
        started_s = perf_counter()
        error_code: str | None = None
        try:
            return await call()
        except SqsliteError as error:
            error_code = error.code
            raise
        except Exception:  # whatever it is, it is counted and goes on
            error_code = INTERNAL_ERROR
            raise
        finally:
            self.store_called(method, perf_counter() - started_s, error_code)

    def collect(self) -> Iterator[Metric]:
        """What has been counted so far, by this process or by all that share a directory."""
        yield from self._counts.collect()
        build = GaugeMetricFamily("sqs_build_info", "The version that runs; always 1.", labels=("version", "python"))
        build.add_metric(self._build, 1)
        yield build


class _ByQueue:
    """The counters that have a label for the queue, looked up once per queue."""

    def __init__(self, registry: CollectorRegistry, labels_max: int) -> None:
        self._enqueued = Counts("sqs_messages_enqueued", "Messages enqueued.", ("queue",), registry)
        self._received = Counts("sqs_messages_received", "Messages received.", ("queue",), registry)
        self._labels_max = labels_max
        self._known: dict[str, tuple[Numbers, Numbers]] = {}
        self._other: tuple[Numbers, Numbers] | None = None

    def of(self, queue: str) -> tuple[Numbers, Numbers]:
        """The queue's counters of messages enqueued and received."""
        known = self._known.get(queue)
        if known is None and len(self._known) < self._labels_max:
            known = self._known[queue] = self._labelled(queue)
        if known is None:
            # Not before it is needed: a label value that never counts would only puzzle its readers.
            known = self._other = self._other or self._labelled(OTHER_QUEUES)
        return known

    def _labelled(self, value: str) -> tuple[Numbers, Numbers]:
        return self._enqueued.of(value), self._received.of(value)
