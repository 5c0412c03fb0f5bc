"""Counts calls and how long they took, in a third of a microsecond: locked counters and histograms take ten times that.

Counted in the event loop, read from any thread for a page: each figure is right, two of them may be a call apart.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from scaler.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

__all__ = ["CallMeters"]

_BOUNDS = metrics.RPC_SECONDS.buckets
_LABELS = [*map(floatToGoString, _BOUNDS), "+Inf"]


class _Times:
    """The times of one method's calls."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(_LABELS)
        self.seconds = 0.0


class CallMeters:
    """Exports `foresail_rpc_total` and `foresail_rpc_seconds`.

    Args:
        registry: Where to.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts: dict[tuple[str, str], int] = {}  # by method and code
        self._times: dict[str, _Times] = {}  # by method
        registry.register(self)

    def count(self, method: str, code: str, seconds: float) -> None:
        """A call was answered. A stream's time says nothing of our speed."""
        key = method, code
        self._counts[key] = self._counts.get(key, 0) + 1
        times = self._times.get(method)
        if times is None:
            if method.startswith("Stream"):
                return
            times = self._times[method] = _Times()
        times.buckets[bisect_left(_BOUNDS, seconds)] += 1
        times.seconds += seconds

    def describe(self) -> Iterator[Metric]:
        """The names."""
        yield CounterMetricFamily(metrics.RPCS.name, metrics.RPCS.doc, labels=metrics.RPCS.labels)
        yield HistogramMetricFamily(
            metrics.RPC_SECONDS.name, metrics.RPC_SECONDS.doc, labels=metrics.RPC_SECONDS.labels
        )

    def collect(self) -> Iterator[Metric]:
        """The figures."""
        calls, seconds = self.describe()
        assert isinstance(calls, CounterMetricFamily)  # noqa: S101 -- just made
        assert isinstance(seconds, HistogramMetricFamily)  # noqa: S101 -- just made
        for (method, code), count in sorted(self._counts.items()):
            calls.add_metric([method, code], count)
        for method, times in sorted(self._times.items()):
            buckets = list(zip(_LABELS, accumulate(times.buckets), strict=True))
            seconds.add_metric([method], buckets=buckets, sum_value=times.seconds)
        yield calls
        yield seconds
