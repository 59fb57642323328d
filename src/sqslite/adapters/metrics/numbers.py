"""Counters and histograms for what every call counts: plain numbers, which one thread adds to and a scrape reads.

The library's own take a lock and several calls for each addition, and there are a dozen of them to a message. Worker
processes that share a directory keep the numbers in the library's files there, from which it sums them up.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import inf
from typing import Protocol

from prometheus_client import CollectorRegistry, values
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]
# A sample of a family: what its name ends in, and a further label with its value.
_Sample = tuple[str, Labels, Labels]


class Numbers(Protocol):
    """The numbers behind one combination of label values."""

    def __getitem__(self, place: int) -> float: ...
    def __setitem__(self, place: int, number: float) -> None: ...


class _SharedNumbers:
    """Numbers in the files of this process, which others read."""

    def __init__(self, cells: Sequence[values.MutexValue]) -> None:
        self._cells = cells

    def __getitem__(self, place: int) -> float:
        return float(self._cells[place].get())  # type: ignore[no-untyped-call]  # untyped in the library

    def __setitem__(self, place: int, number: float) -> None:
        self._cells[place].set(number)  # type: ignore[no-untyped-call]  # untyped in the library


class _Family(Collector):
    """The numbers of one name, by their label values."""

    kind: str

    def __init__(self, name: str, text: str, labels: Labels, samples: Sequence[_Sample], registry: CollectorRegistry):
        self._name = name
        self._text = text
        self._labels = labels
        self._samples = samples
        self._known: dict[Labels, Numbers] = {}
        registry.register(self)

    def of(self, *label_values: str) -> Numbers:
        """Those for these label values; they are shown from now on."""
        numbers = self._known.get(label_values)
        if numbers is None:
            numbers = self._known[label_values] = self._zeros(label_values)
        return numbers

    def _zeros(self, label_values: Labels) -> Numbers:
        if not values.ValueClass._multiprocess:
            return [0.0] * len(self._samples)
        return _SharedNumbers(
            [
                values.ValueClass(
                    self.kind,
                    self._name,
                    self._name + ending,
                    self._labels + further,
                    label_values + further_values,
                    self._text,
                )
                for ending, further, further_values in self._samples
            ]
        )

    def _by_labels(self) -> list[tuple[Labels, Numbers]]:
        # In one go, for a scrape is in another thread.
        return list(self._known.items())


class Counts(_Family):
    """A counter: `of(…)[0] += count`."""

    kind = "counter"

    def __init__(self, name: str, text: str, labels: Labels, registry: CollectorRegistry) -> None:
        super().__init__(name, text, labels, [("_total", (), ())], registry)

    def collect(self) -> Iterator[Metric]:
        """What has been counted."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for label_values, numbers in self._by_labels():
            family.add_metric(label_values, numbers[0])
        yield family


class Durations(_Family):
    """A histogram of seconds."""

    kind = "histogram"

    def __init__(
        self, name: str, text: str, labels: Labels, buckets_s: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._bounds = (*buckets_s, inf)
        self._shown_bounds = [floatToGoString(bound) for bound in self._bounds]  # type: ignore[no-untyped-call]
        buckets: list[_Sample] = [("_bucket", ("le",), (bound,)) for bound in self._shown_bounds]
        super().__init__(name, text, labels, [*buckets, ("_sum", (), ())], registry)

    def observe(self, label_values: Labels, duration_s: float) -> None:
        """Count one duration under these label values."""
        numbers = self._known.get(label_values) or self.of(*label_values)
        numbers[bisect_left(self._bounds, duration_s)] += 1
        numbers[-1] += duration_s

    def collect(self) -> Iterator[Metric]:
        """What has been observed."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for label_values, numbers in self._by_labels():
            counts = accumulate(numbers[place] for place in range(len(self._bounds)))
            buckets = list(zip(self._shown_bounds, counts, strict=True))
            family.add_metric(label_values, buckets, sum_value=numbers[-1])
        yield family
