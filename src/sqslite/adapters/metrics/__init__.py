"""Metrics on prometheus-client: what is counted, and how it is shown."""

from sqslite.adapters.metrics.exposition import Exposition
from sqslite.adapters.metrics.prometheus import PrometheusMetrics

__all__ = ["Exposition", "PrometheusMetrics"]
