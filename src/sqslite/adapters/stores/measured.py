"""A store whose calls are timed and whose errors are counted."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqslite.adapters.metrics import PrometheusMetrics
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.ports import Store

T = TypeVar("T")


class MeasuredStore(InterceptedStore):
    """Tells the metrics the duration of every call and the code of its error."""

    def __init__(self, inner: Store, metrics: PrometheusMetrics) -> None:
        super().__init__(inner)
        self._metrics = metrics

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call and measure it."""
        return await self._metrics.measured(method, call)
