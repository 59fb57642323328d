"""What Prometheus is shown: what was counted, and how deep the queues are."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from structlog import get_logger

from sqslite.adapters.metrics.prometheus import PrometheusMetrics
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Clock, Depth, QueueCatalog, QueueStats

QUEUES_MAX = 200
CACHED_MS = 5 * SECOND_MS
# A scrape is given up after 10 s by default; the counts must be shown before, whatever the store does.
DEPTHS_S_MAX = 3.0

log = get_logger()


class Exposition:
    """The metrics as text; the depth of the first `queues_max` queues by name is read at most every `cached_ms`.

    A store that fails or does not answer in time costs the depths, never the rest.
    """

    content_type: str = CONTENT_TYPE_LATEST

    def __init__(
        self,
        metrics: PrometheusMetrics,
        catalog: QueueCatalog,
        stats: QueueStats,
        clock: Clock,
        queues_max: int = QUEUES_MAX,
        cached_ms: int = CACHED_MS,
    ) -> None:
        self._metrics = metrics
        self._catalog = catalog
        self._stats = stats
        self._clock = clock
        self._queues_max = queues_max
        self._cached_ms = cached_ms
        self._one_at_a_time = asyncio.Lock()
        self._depths: list[Depth] = []
        self._fresh_until: datetime | None = None

    async def render(self) -> bytes:
        """Everything there is to show, in the Prometheus text format."""
        depths = await self._current_depths()
        # With a thousand queues this takes tens of milliseconds, which no request should have to wait for.
        return await asyncio.to_thread(self._text, depths)

    def _text(self, depths: list[Depth]) -> bytes:
        return generate_latest(_Families([*self._metrics.collect(), *_gauges(depths)]))

    async def _current_depths(self) -> list[Depth]:
        async with self._one_at_a_time:
            if self._fresh_until is None or self._fresh_until <= self._clock.now():
                self._depths = await self._read_depths()
                # What failed is remembered as long: scrapes must not pile up on a store in trouble.
                self._fresh_until = self._clock.now() + ms(self._cached_ms)
            return self._depths

    async def _read_depths(self) -> list[Depth]:
        try:
            return await self._metrics.measured("depths", self._ask_store)
        except Exception as error:  # whatever keeps the store from answering, the counts are still shown
            log.warning("depths_missing", error=type(error).__name__, text=str(error))
            return []

    async def _ask_store(self) -> list[Depth]:
        async with asyncio.timeout(DEPTHS_S_MAX):
            queues = await self._catalog.page("", self._queues_max)
            return await self._stats.depths(queues) if queues else []


class _Families(Collector):
    """Metrics that were collected before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauges(depths: list[Depth]) -> Iterator[Metric]:
    if not depths:
        return
    messages = GaugeMetricFamily("sqs_queue_messages", "Messages in a queue, by state.", labels=("queue", "state"))
    oldest = GaugeMetricFamily(
        "sqs_queue_oldest_ready_age_seconds",
        "How long the first in line has been available; 0: nothing is.",
        labels=("queue",),
    )
    for depth in depths:
        messages.add_metric((depth.queue, "ready"), depth.ready)
        messages.add_metric((depth.queue, "delayed"), depth.delayed)
        messages.add_metric((depth.queue, "in_flight"), depth.in_flight)
        oldest.add_metric((depth.queue,), (depth.oldest_ready_age_ms or 0) / SECOND_MS)
    yield messages
    yield oldest
