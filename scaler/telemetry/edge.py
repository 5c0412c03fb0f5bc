"""The edge's metrics. Figures of triggers are read when a page is asked for: calls pay nothing for them."""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING, Protocol

from prometheus_client import ProcessCollector, generate_latest

from scaler.errors import EngineLost
from scaler.telemetry import metrics
from scaler.telemetry.call_meters import CallMeters
from scaler.telemetry.trigger_page import trigger_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from prometheus_client import CollectorRegistry

    from scaler.telemetry.trigger_page import TriggerReading

__all__ = ["EdgeMetrics", "MetricsPage"]


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
        self._triggers = triggers
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

    def page(self) -> bytes:
        """The edge's part of /metrics; may be asked for from any thread."""
        return generate_latest(self._registry) + trigger_page(self._triggers())

    def engine_told(self, *, up: bool) -> None:
        """Whether the engine gave its part of a page."""
        self._engine_up.set(up)


class MetricsPage:
    """The page: the edge's metrics, then the engine's."""

    def __init__(
        self,
        edge: EdgeMetrics,
        *,
        engine_metrics: Callable[[], Awaitable[bytes]],
        within: float = 1.0,
    ) -> None:
        """Puts the page together.

        Args:
            edge: Gives its part, and is told whether the engine answered.
            engine_metrics: The engine's part; may raise EngineLost.
            within: Seconds that the engine has.
        """
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
        # a fleet's page takes half a second of computing; calls go on meanwhile
        return await asyncio.to_thread(self._edge.page) + engine
