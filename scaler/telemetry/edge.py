"""The edge's metrics. Figures of triggers are read when a page is asked for: calls pay nothing for them."""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING, Protocol

from prometheus_client import ProcessCollector, generate_latest

from scaler.errors import EngineLost
from scaler.telemetry import metrics
from scaler.telemetry.call_meters import CallMeters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily

__all__ = ["EdgeMetrics", "MetricsPage", "TriggerReading"]


class TriggerReading(Protocol):
    """What is exported of one trigger; None where it is not known."""

    @property
    def namespace(self) -> str: ...  # noqa: D102  # the ScaledObject's
    @property
    def name(self) -> str: ...  # noqa: D102  # the ScaledObject's
    @property
    def trigger(self) -> str: ...  # noqa: D102  # digest of the metadata
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def served(self) -> float | None: ...  # noqa: D102
    @property
    def active(self) -> bool | None: ...  # noqa: D102
    @property
    def observed(self) -> float | None: ...  # noqa: D102
    @property
    def observed_age(self) -> float | None: ...  # noqa: D102  # seconds
    @property
    def bands(self) -> Mapping[str, float]: ...  # noqa: D102  # level -> forecast peak
    @property
    def forecast_age(self) -> float | None: ...  # noqa: D102  # seconds
    @property
    def trusted(self) -> bool | None: ...  # noqa: D102
    @property
    def gain(self) -> float | None: ...  # noqa: D102  # of the gate
    @property
    def coverage(self) -> float | None: ...  # noqa: D102
    @property
    def lead_time(self) -> float | None: ...  # noqa: D102  # seconds


class _StatusCode(Protocol):
    @property
    def name(self) -> str: ...


class EdgeMetrics:
    """Counters of the edge process, on a registry of its own."""

    def __init__(
        self, registry: CollectorRegistry, *, version: str, triggers: Callable[[], Iterable[TriggerReading]]
    ) -> None:
        """Registers everything.

        Args:
            registry: Where to.
            version: Of this program.
            triggers: All triggers in use; called for each page, from a thread.
        """
        self._registry = registry
        self._calls = CallMeters(registry)
        self._lag = metrics.EDGE_LAG.histogram(registry)
        self._tasks = metrics.EDGE_TASKS.gauge(registry)
        self._restarts = metrics.ENGINE_RESTARTS.counter(registry)
        self._engine_up = metrics.ENGINE_UP.gauge(registry)
        metrics.BUILD_INFO.gauge(registry).labels(version, platform.python_version()).set(1)
        registry.register(_TriggerCollector(triggers))
        ProcessCollector(registry=registry)

    def follow_certificate(self, not_after: Callable[[], float]) -> None:
        """Tells of the certificate in force; `not_after` gives its end, epoch seconds."""
        metrics.CERTIFICATE_END.gauge(self._registry).set_function(not_after)

    def call_ended(self, method: str, code: _StatusCode, seconds: float) -> None:
        """A call was answered: a `scaler.keda.calls.CallObserver`."""
        self._calls.count(method, code.name, seconds)

    def loop_late(self, seconds: float) -> None:
        """The event loop was this late."""
        self._lag.observe(seconds)

    def loop_tasks(self, count: int) -> None:
        """The event loop has this many tasks."""
        self._tasks.set(count)

    def engine_lost(self) -> None:
        """The engine process was lost."""
        self._restarts.inc()

    def engine_told(self, *, up: bool) -> None:
        """Whether the engine gave its part of a page."""
        self._engine_up.set(up)


class MetricsPage:
    """The page: the edge's metrics, then the engine's."""

    def __init__(
        self,
        registry: CollectorRegistry,
        edge: EdgeMetrics,
        *,
        engine_metrics: Callable[[], Awaitable[bytes]],
        within: float = 1.0,
    ) -> None:
        """Puts the page together.

        Args:
            registry: The edge's.
            edge: Is told whether the engine answered.
            engine_metrics: The engine's part; may raise EngineLost.
            within: Seconds that the engine has.
        """
        self._registry = registry
        self._edge = edge
        self._engine_metrics = engine_metrics
        self._within = within

    async def render(self) -> bytes:
        """The page as Prometheus' text format; without the engine's part when that does not come in time."""
        try:
            async with asyncio.timeout(self._within):
                engine = await self._engine_metrics()
        except (EngineLost, TimeoutError):
            engine = b""
        self._edge.engine_told(up=bool(engine))
        # a fleet's page takes a second of computing; calls go on meanwhile
        return await asyncio.to_thread(generate_latest, self._registry) + engine


class _TriggerCollector:
    def __init__(self, triggers: Callable[[], Iterable[TriggerReading]]) -> None:
        self._triggers = triggers

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names, so that the registry refuses a second collector of them without asking for values."""
        for metric in (*_OF_TRIGGERS, metrics.TRIGGERS):
            yield metric.family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family a metric, one sample a trigger and known value."""
        families = {metric: metric.family() for metric in _OF_TRIGGERS}
        count = 0
        for reading in self._triggers():
            count += 1
            labels = [reading.namespace, reading.name, reading.trigger, reading.metric]
            for metric, value in (
                (metrics.SERVED, reading.served),
                (metrics.OBSERVED, reading.observed),
                (metrics.OBSERVED_AGE, reading.observed_age),
                (metrics.FORECAST_AGE, reading.forecast_age),
                (metrics.GATE_TRUSTED, reading.trusted),
                (metrics.GATE_GAIN, reading.gain),
                (metrics.GATE_COVERAGE, reading.coverage),
                (metrics.LEAD_TIME, reading.lead_time),
                (metrics.ACTIVE, reading.active),
            ):
                if value is not None:
                    families[metric].add_metric(labels, value)
            for level, peak in reading.bands.items():
                families[metrics.FORECAST].add_metric([*labels, level], peak)
        yield from families.values()
        total = metrics.TRIGGERS.family()
        total.add_metric([], count)
        yield total


_OF_TRIGGERS = (
    metrics.SERVED,
    metrics.OBSERVED,
    metrics.OBSERVED_AGE,
    metrics.FORECAST,
    metrics.FORECAST_AGE,
    metrics.GATE_TRUSTED,
    metrics.GATE_GAIN,
    metrics.GATE_COVERAGE,
    metrics.LEAD_TIME,
    metrics.ACTIVE,
)
