"""A workload to watch: a load with a cycle, and the metrics page that an application would show of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.core import Metric

    from forecasting.series import FloatArray

__all__ = ["METRIC", "DemoLoad", "Exporter"]

METRIC = "demo_requests_total"


@dataclass(frozen=True, slots=True)
class DemoLoad:
    """Requests per second: quiet, a steep rise, a plateau, a slow fall, again and again, with some noise.

    Attributes:
        begin: Epoch seconds at which a cycle begins; the rise comes after two ninths of it.
        cycle: Seconds from one rise to the next.
        low: Load in the quiet part.
        high: Load on the plateau.
        noise: Standard deviation of the noise, as a part of the load.
    """

    begin: float = 0.0
    cycle: int = 90
    low: float = 120.0
    high: float = 600.0
    noise: float = 0.03

    def at(self, seconds: FloatArray) -> FloatArray:
        """The load in each of these seconds (epoch), shape (n,); the same whenever it is asked for."""
        phase = np.mod(seconds - self.begin, self.cycle) * (90.0 / self.cycle)
        shape = np.interp(phase, [0.0, 20.0, 26.0, 42.0, 56.0, 90.0], [0.0, 0.0, 1.0, 0.95, 0.0, 0.0])
        return (self.low + (self.high - self.low) * shape) * (1.0 + self.noise * _noise(seconds))

    def requests(self, *, end: int, seconds: int, step: int) -> Iterator[tuple[int, float]]:
        """Times and the number of requests since the first of them, a pair every `step` seconds up to `end`."""
        counted = np.cumsum(self.past(end=end, samples=seconds).values)
        for index in range(0, seconds, step):
            yield end - seconds + 1 + index, float(counted[index])

    def past(self, *, end: int, samples: int) -> TimeSeries:
        """The load of the seconds up to and including `end`, one sample a second."""
        times = np.arange(end - samples + 1, end + 1, dtype=np.float64)
        return TimeSeries(end - samples + 1, 1, self.at(times))


def _noise(seconds: FloatArray) -> FloatArray:
    """Numbers that look random but belong to their second for ever: one normal draw seeded by each."""
    return np.array([np.random.default_rng(int(second)).standard_normal() for second in np.floor(seconds)])


class _Requests(Collector):
    """Counts the requests since the start: what the load has been, summed up."""

    def __init__(self, load: DemoLoad, clock: Callable[[], float]) -> None:
        self._load = load
        self._clock = clock
        self._counted_to = clock()
        self._count = 0.0

    def collect(self) -> Iterable[Metric]:
        now = self._clock()
        edges = np.append(np.arange(np.ceil(self._counted_to), np.ceil(now)), now)
        spans = np.diff(edges, prepend=self._counted_to)
        self._count += float((self._load.at(edges - spans) * spans).sum())
        self._counted_to = now
        yield CounterMetricFamily("demo_requests", "Requests served by the demo workload.", value=self._count)


class Exporter:
    """The workload's own /metrics.

    Args:
        load: What it tells of.
        clock: Epoch seconds now.
        host: Where to listen.
        port: 0 takes a free one.
    """

    def __init__(self, load: DemoLoad, *, clock: Callable[[], float], host: str = "127.0.0.1", port: int = 0) -> None:
        registry = CollectorRegistry()
        registry.register(_Requests(load, clock))
        application = web.Application()

        async def metrics(_: web.Request) -> web.Response:
            return web.Response(body=generate_latest(registry), content_type="text/plain")

        application.router.add_get("/metrics", metrics)
        self._runner = web.AppRunner(application, access_log=None)
        self._listen = (host, port)
        self.address = ""

    async def start(self) -> None:
        """Listens; `address` is where."""
        await self._runner.setup()
        host, port = self._listen
        await web.TCPSite(self._runner, host, port).start()
        self.address = f"http://{host}:{self._runner.addresses[0][1]}/metrics"

    async def stop(self) -> None:
        """Stops listening."""
        await self._runner.cleanup()
