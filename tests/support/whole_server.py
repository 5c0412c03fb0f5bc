"""A whole server in this process: engine, desk and gRPC edge, over one series that a test gives. Its fits are real."""

from __future__ import annotations

import contextlib
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.registry import default_registry
from forecasting.series import TimeSeries
from scaler.edge.desk import TriggerDesk
from scaler.engine.engine import Engine
from scaler.engine.messages import FitDone, Register
from scaler.engine.meter import NoMeter
from scaler.engine.modelling import Modelling
from scaler.engine.outsiders import forecast_here
from scaler.engine.persistence import Persistence
from scaler.engine.refresh import Refresh
from scaler.engine.worker import climb
from scaler.errors import NoData
from scaler.keda.client import KedaClient
from scaler.settings import Settings
from scaler.sources.base import Sample
from scaler.store.sqlite import SqliteStore
from tests.support.keda_edge import running_edge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from scaler.engine.messages import FitRequest, Forecasted, ForecastRequest, ToEngine
    from scaler.errors import ForesailError

__all__ = ["NOW", "STEP", "Server", "serving"]

NOW = 1_700_006_400.0
STEP = 60


@dataclass
class _OneSeries:
    """A source that knows these samples, the last one at NOW, and nothing before; its instant value is the newest."""

    values: np.ndarray
    clock: Callable[[], float]

    async def instant(self, query: str) -> Sample:
        del query
        known = self._until(self.clock())
        if not len(known) or math.isnan(known[-1]):
            raise NoData("query q has no result")
        return Sample(self.clock(), float(known[-1]))

    async def range(self, query: str, *, start: int, end: int, step: int) -> TimeSeries:
        del query
        values = np.full((end - start) // step + 1, np.nan)
        known = self._until(end)[-len(values) :]
        if len(known):
            values[-len(known) :] = np.where(np.isfinite(known), known, np.nan)  # what sources do with infinities
        return TimeSeries(start, step, values)

    def _until(self, time: float) -> np.ndarray:
        later = max(0, math.ceil((NOW - time) / STEP))
        return self.values[: len(self.values) - later]

    async def close(self) -> None:
        pass


class _Bugs(NoMeter):
    """Lets no defect pass: the engine would go on after it."""

    def bug(self, job: str, error: Exception) -> None:
        raise AssertionError(job) from error

    def store_failed(self, error: ForesailError) -> None:
        raise AssertionError("the store") from error


class _Here:
    """Fits in this process, with the worker's own code."""

    waiting = 0

    async def fit(self, request: Callable[[], FitRequest], *, priority: int) -> FitDone:
        del priority
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as the worker does
            *_, done = climb(request(), default_registry())
        assert isinstance(done, FitDone)
        return done

    async def forecast(self, request: ForecastRequest) -> Forecasted:
        return forecast_here(request)


@dataclass
class Server:
    """The engine, and KEDA's side of a channel to its edge."""

    engine: Engine
    keda: KedaClient


@contextlib.asynccontextmanager
async def serving(values: np.ndarray, *, clock: Callable[[], float] = lambda: NOW) -> AsyncIterator[Server]:
    """Serves the samples in `values`, one each STEP, the last one at NOW, to triggers with a step of STEP."""
    settings = Settings(first_answer_wait=0.0)
    meter = _Bugs()
    persistence = Persistence(SqliteStore(None), on_error=meter.store_failed)
    engine: Engine

    def tell(message: ToEngine) -> None:
        assert isinstance(message, Register)
        engine.register(
            trigger_id=message.trigger, namespace=message.namespace, name=message.name, metadata=message.metadata
        )

    desk = TriggerDesk(settings=settings, tell=tell, clock=clock)
    engine = Engine(
        settings=settings,
        open_source=lambda _: _OneSeries(values, clock),
        refresh=Refresh(persistence=persistence, observe_interval=15.0, concurrency=4, clock=clock, meter=meter),
        modelling=Modelling(
            fits=_Here(),
            outside=_Here(),
            persistence=persistence,
            forecasters=tuple(default_registry().names()),
            settings=settings,
            clock=clock,
            meter=meter,
        ),
        persistence=persistence,
        publish=desk.apply,
        clock=clock,
        monotonic=clock,
        meter=meter,
    )
    try:
        async with running_edge(desk) as edge, KedaClient(edge.address) as keda:
            yield Server(engine, keda)
    finally:
        await engine.settle()
        await persistence.close(now=clock())
