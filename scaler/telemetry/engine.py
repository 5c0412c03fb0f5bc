"""The engine's metrics and log lines: implements `scaler.engine.meter.Meter`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector, generate_latest

from scaler.telemetry import metrics
from scaler.telemetry.log import get_logger
from scaler.telemetry.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily

    from scaler.engine.fits import Priority
    from scaler.errors import ForesailError
    from scaler.tenancy.ledger import Usage

__all__ = ["EngineMetrics"]

log = get_logger(__name__)

_QUIET = 60.0  # seconds between two lines of one kind: a source that is down fails ten thousand times a minute


class EngineMetrics:
    """Counters of the engine process, on a registry of its own; the same events as log lines, not too many."""

    def __init__(self, registry: CollectorRegistry, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Registers everything.

        Args:
            registry: Where to.
            monotonic: Seconds that only grow, for the pace of log lines.
        """
        self._registry = registry
        self._throttle = Throttle(every=_QUIET, monotonic=monotonic)
        self._requests = metrics.SOURCE_REQUESTS.counter(registry)
        self._source_errors = metrics.SOURCE_ERRORS.counter(registry)
        self._fits = metrics.FITS.counter(registry)
        self._fit_seconds = metrics.FIT_SECONDS.histogram(registry)
        self._evicted = metrics.EVICTED.counter(registry)
        self._bytes = metrics.SERIES_BYTES.gauge(registry)
        self._fit_wait = metrics.FIT_WAIT.histogram(registry)
        self._workers_lost = metrics.WORKERS_LOST.counter(registry)
        self._store_errors = metrics.STORE_ERRORS.counter(registry)
        self._bugs = metrics.BUGS.counter(registry)
        self._lag = metrics.ENGINE_LAG.histogram(registry)
        self._tasks = metrics.ENGINE_TASKS.gauge(registry)
        self._queue = metrics.FIT_QUEUE.gauge(registry)
        self._series = metrics.SERIES.gauge(registry)
        self._set_aside = metrics.STORE_SET_ASIDE.gauge(registry)
        ProcessCollector(namespace="foresail_engine", registry=registry)

    def follow(
        self,
        *,
        series: Callable[[], int],
        series_bytes: Callable[[], int],
        fits_waiting: Callable[[], int],
        files_set_aside: Callable[[], int],
    ) -> None:
        """From now on these are asked for each page."""
        self._series.set_function(series)
        self._bytes.set_function(series_bytes)
        self._queue.set_function(fits_waiting)
        self._set_aside.set_function(files_set_aside)

    def follow_namespaces(self, usages: Callable[[], Iterable[tuple[str, Usage]]]) -> None:
        """From now on what namespaces take is asked for each page."""
        self._registry.register(_NamespaceCollector(usages))

    def page(self) -> bytes:
        """The engine's part of /metrics."""
        return generate_latest(self._registry)

    def source_asked(self, request: str, error: ForesailError | None, *, series: str) -> None:
        """A request was answered, or failed like this."""
        self._requests.labels(request).inc()
        if error is not None:
            kind = type(error).__name__
            self._source_errors.labels(request, kind).inc()
            self._warn("source.failed", kind, request=request, kind=kind, series=series, error=error)

    def fitted(self, forecaster: str, outcome: str, cpu_seconds: float, *, reason: str = "") -> None:
        """A fit ended; the reason is why it failed."""
        self._fits.labels(forecaster, outcome).inc()
        if outcome == "tested":
            return
        if outcome == "fitted":
            self._fit_seconds.labels(forecaster).observe(cpu_seconds)
        else:
            self._warn("fit.failed", f"{forecaster} {outcome}", forecaster=forecaster, outcome=outcome, reason=reason)

    def fit_turn(self, priority: Priority, waited: float) -> None:
        """A fit's turn has come."""
        self._fit_wait.labels(priority.kind).observe(waited)

    def evicted(self, reason: str, triggers: int) -> None:
        """Triggers were let go of."""
        self._evicted.labels(reason).inc(triggers)

    def worker_lost(self) -> None:
        """A fit worker died or was killed."""
        self._workers_lost.inc()
        self._warn("fit.worker_lost", "")

    def store_failed(self, error: ForesailError) -> None:
        """The store could not be read or written."""
        self._store_errors.inc()
        self._warn("store.failed", str(error), error=error)

    def bug(self, job: str, error: Exception) -> None:
        """A job ended in an error that nobody foresaw."""
        kind = job.partition(" ")[0]  # what follows is a series' id: no label
        self._bugs.labels(kind).inc()
        like_it = self._throttle.due(f"bug {kind} {type(error).__name__}")
        if like_it is not None:
            log.unforeseen("engine.bug", error, job=job, like_it_before=like_it)

    def loop_late(self, seconds: float) -> None:
        """The event loop was this late."""
        self._lag.observe(seconds)

    def loop_tasks(self, count: int) -> None:
        """The event loop has this many tasks."""
        self._tasks.set(count)

    def _warn(self, event: str, kind: str, /, **fields: object) -> None:
        like_it = self._throttle.due(f"{event} {kind}")
        if like_it is not None:
            log.warning(event, **fields, like_it_before=like_it)


class _NamespaceCollector:
    def __init__(self, usages: Callable[[], Iterable[tuple[str, Usage]]]) -> None:
        self._usages = usages

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names, without values."""
        for metric in _OF_NAMESPACES:
            yield metric.family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family a metric, one sample a namespace."""
        families = [metric.family() for metric in _OF_NAMESPACES]
        for namespace, usage in self._usages():
            figures = (usage.triggers, len(usage.series), len(usage.fits), usage.bytes)
            for family, figure in zip(families, figures, strict=True):
                family.add_metric([namespace], figure)
        yield from families


_OF_NAMESPACES = (
    metrics.NAMESPACE_TRIGGERS,
    metrics.NAMESPACE_SERIES,
    metrics.NAMESPACE_FITS,
    metrics.NAMESPACE_BYTES,
)
