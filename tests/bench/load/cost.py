"""What a series costs a day, and whether that is the same in a large fleet as in a small one.

    python -m tests.bench.load.cost --sizes 100,1000 --forecaster auto --data DIR

CPU seconds, which other work on the machine stretches, but less than times: of what is measured one by one, the least
of several counts. Two tables: a forecaster's fit and forecast by themselves, the latter also of several series in one
pass; and the edge and the engine of `foresail serve` while they refresh a fleet and forecast each of its series every
minute, over the fake Prometheus.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from forecasting.forecast import Forecast
from forecasting.registry import default_registry
from forecasting.serialise import dumps, loads
from scaler.engine.probation import Ask, all_predicted, predicted
from scaler.engine.process import STORE_FILE
from scaler.engine.shared_turns import MOST
from scaler.engine.state import BANDS
from scaler.heap import keep_pages
from tests.bench.load import stages
from tests.bench.load.fleet import STEP, Fleet
from tests.bench.load.machine import cpu_seconds, samples
from tests.bench.load.scene import foresail, helper
from tests.bench.load.seed import fill

if TYPE_CHECKING:
    from tests.bench.load.scene import Foresail

__all__ = ["Alone", "Together", "alone", "main", "together"]

_DAY = 86400
_HORIZON = 11  # steps of a trigger with a lead time of 3 minutes
_FORECASTS = 20
_PATIENCE = 300.0  # seconds for a fleet to get its forecasts
_PLUG_INS = frozenset({"lstm"})  # its network is of no use to a series of a week


class Alone(msgspec.Struct, kw_only=True):
    """One forecaster by itself; CPU seconds.

    Attributes:
        fit: To one series.
        forecast: Of one series.
        shared: Of each of the series that share a turn in the engine.
    """

    forecaster: str
    fit: float
    forecast: float
    shared: float

    @property
    def day(self) -> float:
        """A forecast each step, in company as in a fleet, and a fit."""
        return self.shared * _DAY / STEP + self.fit


class Together(msgspec.Struct, kw_only=True):
    """A fleet being refreshed and forecast; CPU seconds a series and minute.

    Attributes:
        oldest: Seconds: the age of the oldest forecast at the end. Beyond two steps, not all were made each step.
    """

    triggers: int
    forecaster: str
    edge: float
    engine: float
    oldest: float

    @property
    def day(self) -> float:
        """The same for a day."""
        return (self.edge + self.engine) * _DAY / 60.0


def alone(forecaster: str, *, days: int) -> Alone:
    """Fits members of the fleet, and has them forecast from what the store gives back, one by one and in one pass."""
    fleet, made = Fleet(size=MOST, days=days), default_registry().create(forecaster, {})
    end = int(time.time()) // STEP * STEP
    fits, forecasts, turns, asks = [], [], [], []
    for member in range(MOST):
        past = fleet.past(member, end=end, count=days * _DAY // STEP + 1)
        began = time.process_time()
        fitted = made.fit(past, horizon=_HORIZON, levels=BANDS)
        fits.append(time.process_time() - began)
        kept = loads(dumps(fitted))
        asks.append(Ask(kept, forecaster, past.last(kept.context_length), _HORIZON, BANDS))
    for ask in asks * _FORECASTS:
        began = time.process_time()
        predicted(ask.fitted, ask.past, name=forecaster, horizon=_HORIZON, levels=BANDS)
        forecasts.append(time.process_time() - began)
    for _ in range(_FORECASTS):
        began = time.process_time()
        found = all_predicted(asks)
        turns.append(time.process_time() - began)
        assert all(isinstance(one, Forecast) for one in found)
    return Alone(forecaster=forecaster, fit=min(fits), forecast=min(forecasts), shared=min(turns) / MOST)


async def together(fleet: Fleet, directory: Path, *, seconds: float) -> Together:
    """A server with the fleet in its store, models and all, that nobody calls but once."""
    if not (directory / STORE_FILE).exists():
        fill(directory, fleet)
    # refits come as they do by default, one series in 360 a minute: the store's models are on that grid
    settings = {"FORESAIL_IDLE_AFTER": "1d"}
    async with (
        helper("prometheus") as source,
        foresail(directory, source_port=source.port, settings=settings) as server,
    ):
        await stages.start(server, fleet)
        await _all_forecast(server, fleet)
        edge, engine = cpu_seconds(server.pid), cpu_seconds(server.engine)
        await asyncio.sleep(seconds)
        minutes = fleet.size * seconds / 60.0
        edge, engine = cpu_seconds(server.pid) - edge, cpu_seconds(server.engine) - engine
        ages = samples(await server.metrics(), "foresail_forecast_age_seconds")
    return Together(
        triggers=fleet.size,
        forecaster=fleet.forecaster,
        edge=edge / minutes,
        engine=engine / minutes,
        oldest=max(ages.values()),
    )


async def _all_forecast(server: Foresail, fleet: Fleet) -> None:
    """Returns when each series has a forecast from its newest samples, or patience is over: the figures tell."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        ages = samples(await server.metrics(), "foresail_forecast_age_seconds")
        if len(ages) == fleet.size and max(ages.values()) < 2 * STEP:
            return
        await asyncio.sleep(5.0)


def main(argv: list[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", default="100,1000", help="of fleets (default: 100,1000); empty: none")
    parser.add_argument("--forecaster", default="auto", help="of the fleets (default: auto)")
    parser.add_argument(
        "--alone", default="", help="forecasters to look at by themselves: all, or auto,ets and the like"
    )
    parser.add_argument("--days", type=int, default=8, help="of history (default: 8)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each fleet (default: 60)")
    parser.add_argument(
        "--data", type=Path, help="where the stores of the fleets are kept, DIR/SIZE, and made if absent"
    )
    arguments = parser.parse_args(argv)
    names = arguments.alone.split(",")
    if arguments.alone == "all":
        names = [name for name in default_registry().names() if name not in _PLUG_INS]
    if arguments.alone:
        keep_pages()  # as the engine does
        print(
            f"| forecaster | fit, s | forecast alone, ms | of {MOST} in one pass | of a day, s |\n|---|---|---|---|---|"
        )
    for name in filter(None, names):
        found = alone(name, days=arguments.days)
        print(
            f"| {name} | {found.fit:.2f} | {1000 * found.forecast:.2f} | {1000 * found.shared:.2f} | {found.day:.1f} |",
            flush=True,
        )
    sizes = [int(size) for size in arguments.sizes.split(",") if size]
    if sizes:
        print("| series | forecaster | edge, ms a series and minute | engine | of a day, s | oldest forecast, s |")
        print("|---|---|---|---|---|---|")
    with TemporaryDirectory(prefix="foresail-cost-") as scratch:
        for size in sizes:
            directory = (arguments.data or Path(scratch)) / str(size)
            directory.mkdir(parents=True, exist_ok=True)
            fleet = Fleet(size=size, forecaster=arguments.forecaster, days=arguments.days)
            one = asyncio.run(together(fleet, directory, seconds=arguments.seconds))
            print(
                f"| {one.triggers} | {one.forecaster} | {1000 * one.edge:.2f} | {1000 * one.engine:.2f} | "
                f"{one.day:.1f} | {one.oldest:.0f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
