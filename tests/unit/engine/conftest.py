"""An engine whose time, source and edge are in the test's hands; its store is a real SQLite file, its fits are real."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from forecasting.registry import default_registry
from forecasting.series import TimeSeries
from scaler.engine.admission import ledger_of
from scaler.engine.engine import Engine
from scaler.engine.fits import FitLost
from scaler.engine.messages import FitDone, FitRequest, Recalled, Update
from scaler.engine.meter import NoMeter
from scaler.engine.modelling import Modelling
from scaler.engine.outsiders import forecast_here
from scaler.engine.persistence import Persistence
from scaler.engine.refresh import Refresh
from scaler.engine.worker import climb
from scaler.settings import Settings
from scaler.sources.base import Sample, SourceSpec
from scaler.store.sqlite import SqliteStore
from scaler.trigger import parse_trigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from forecasting.registry import Registry
    from scaler.decision import Snapshot
    from scaler.engine.fits import Priority
    from scaler.engine.messages import Evicted, Forecasted, ForecastRequest, Refused
    from scaler.errors import ForesailError
    from scaler.sources.base import MetricSource

START = 1_700_006_400  # a Wednesday, on the grid


@dataclass
class Clock:
    """Time that stands still until it is told to move."""

    now: float = float(START)
    set_ahead: float = 0.0  # by how much the wall clock was set ahead (or back, negative) since the start

    def __call__(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - self.set_ahead

    def set(self, by: float) -> None:
        """Somebody sets the wall clock."""
        self.now += by
        self.set_ahead += by


@dataclass
class ScriptedSource:
    """A source whose load is a function of time, with faults to order."""

    clock: Clock
    load: Callable[[float], float]
    begins: float = -1e18  # nothing is known before
    others: dict[str, Callable[[float], float]] = field(default_factory=dict)  # loads of certain queries
    failing: dict[str, ForesailError] = field(default_factory=dict)  # faults of certain queries
    error: ForesailError | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    closed: bool = False

    async def instant(self, query: str) -> Sample:
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        return Sample(self.clock.now, self.load(self.clock.now))

    async def range(self, query: str, *, start: int, end: int, step: int) -> TimeSeries:
        self.queries.append(query)
        self.asked.append((start, end))
        if self.error is not None:
            raise self.error
        if query in self.failing:
            raise self.failing[query]
        times, load = range(start, end + 1, step), self.others.get(query, self.load)
        return TimeSeries(start, step, np.array([load(t) if t >= self.begins else np.nan for t in times]))

    async def close(self) -> None:
        self.closed = True


@dataclass
class InlineFits:
    """Fits here and now, with the worker's own code; `lost` names the forecasters that never come back."""

    lost: dict[str, str] = field(default_factory=dict)
    requests: list[FitRequest] = field(default_factory=list)
    of_the_past: list[FitRequest] = field(default_factory=list)  # made only to be tested
    lost_forecasts: dict[str, str] = field(default_factory=dict)  # the same of plug-ins' forecasts
    asked: list[ForecastRequest] = field(default_factory=list)
    registry: Callable[[], Registry] = default_registry
    priorities: list[Priority] = field(default_factory=list)
    waiting: int = 0

    async def fit(self, request: Callable[[], FitRequest], *, priority: Priority) -> FitDone:
        self.priorities.append(priority)
        return self._fit(request())

    async def forecast(self, request: ForecastRequest) -> Forecasted:
        self.asked.append(request)
        if request.forecaster in self.lost_forecasts:
            raise FitLost(self.lost_forecasts[request.forecaster], rung=0)
        return forecast_here(request)

    def _fit(self, request: FitRequest) -> FitDone:
        (self.of_the_past if request.tested and not request.known else self.requests).append(request)
        for number, rung in enumerate(request.ladder):
            if rung.forecaster in self.lost:
                raise FitLost(self.lost[rung.forecaster], rung=number)
        *_, done = climb(request, self.registry())
        assert isinstance(done, FitDone)
        return done


@dataclass
class Workbench:
    """The engine and everything around it."""

    engine: Engine
    clock: Clock
    source: ScriptedSource
    fits: InlineFits
    persistence: Persistence
    opened: list[SourceSpec]
    published: list[Update | Recalled | Refused | Evicted]
    settings: Settings

    def register(self, name: str = "web", *, namespace: str = "shop", **metadata: str) -> str:
        """Registers a trigger as the edge would; returns its id."""
        given = {"serverAddress": "http://prometheus:9090", "query": "q", "threshold": "10", "forecaster": "naive"}
        given |= metadata
        trigger_id = parse_trigger(namespace=namespace, name=name, metadata=given).key.id
        self.engine.register(trigger_id=trigger_id, namespace=namespace, name=name, metadata=given)
        return trigger_id

    async def at(self, now: float) -> None:
        """Lets all that is due up to that time happen at its own time."""
        while (due := self.engine.next_due()) is not None and due <= now:
            self.clock.now = max(self.clock.now, due)
            self.engine.start_due()
            await self.engine.settle()
        self.clock.now = now

    def snapshot(self, trigger_id: str) -> Snapshot:
        """The newest snapshot published for the trigger."""
        for message in reversed(self.published):
            if isinstance(message, (Update, Recalled)):
                for one in message.snapshots:
                    if one.trigger == trigger_id:
                        return one
        raise AssertionError(f"no snapshot of {trigger_id}")


def daily(time: float) -> float:
    """A load with a daily cycle."""
    return round(100.0 + 50.0 * float(np.sin(2 * np.pi * (time - START) / 86400)), 6)


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "foresail.db"


@pytest.fixture
async def make_workbench(store_path: Path) -> AsyncIterator[Callable[..., Workbench]]:
    made: list[Workbench] = []

    def make(**changes: object) -> Workbench:
        settings = Settings(**changes)  # type: ignore[arg-type]  # tests name what they change
        clock = Clock()
        source = ScriptedSource(clock, daily)
        fits = InlineFits()
        opened: list[SourceSpec] = []
        published: list[Update | Recalled | Refused | Evicted] = []

        def open_source(spec: SourceSpec) -> MetricSource:
            opened.append(spec)
            return source

        meter = NoMeter()
        ledger = ledger_of(settings, monotonic=clock.monotonic)
        persistence = Persistence(SqliteStore(store_path), on_error=meter.store_failed)
        engine = Engine(
            settings=settings,
            open_source=open_source,
            refresh=Refresh(
                persistence=persistence,
                observe_interval=settings.observe_interval,
                concurrency=settings.source_concurrency,
                clock=clock,
                meter=meter,
            ),
            modelling=Modelling(
                fits=fits,
                outside=fits,
                persistence=persistence,
                forecasters=tuple(default_registry().names()),
                settings=settings,
                clock=clock,
                meter=meter,
                ledger=ledger,
            ),
            persistence=persistence,
            publish=published.append,
            clock=clock,
            monotonic=clock.monotonic,
            meter=meter,
            ledger=ledger,
        )
        made.append(Workbench(engine, clock, source, fits, persistence, opened, published, settings))
        return made[-1]

    yield make
    for bench in made:
        await bench.engine.settle()
        await bench.persistence.close(now=bench.clock.now)


@pytest.fixture
def bench(make_workbench: Callable[..., Workbench]) -> Workbench:
    return make_workbench()


@pytest.fixture
def start() -> int:
    return START
