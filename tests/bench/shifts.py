"""What comes of a lasting change of level, injected: `python -m tests.bench.shifts TRACES`.

From a moment two thirds into a trace on, the load is a multiple of what it was. Methods are fitted every twelve hours,
the first time three hours after the change, as the server fits them, which finds the change by itself or not
(`forecasting.shifted`), and as they are; and are asked for forecasts every ten minutes of the three days after it.
Told is the pinball loss with against without, mean over values 15 and 60 minutes and peaks 5 and 10 minutes ahead at
0.9 and 0.95. `--untouched`: the traces as they are; every six hours of the whole trace both are fitted, if there is a
change to be found, and asked for the next six.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import predict_many
from forecasting.calibration import future, running_maximum
from forecasting.evaluation import pinball_loss
from forecasting.generate import generate_series
from forecasting.prepare.shifts import find_shifts
from forecasting.registry import default_registry, fitting
from forecasting.series import TimeSeries
from tests.bench.forecast import geometric, read_folder, steps

if TYPE_CHECKING:
    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.series import FloatArray

LEVELS = (0.5, 0.9, 0.95)
HOUR, DAY = 3600, 86400
HISTORY = 14 * DAY
FACTORS = (3.0, 1 / 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="as of tests.bench.forecast")
    parser.add_argument("--traces", default="nasa_http_jul95,wc98_pretournament,pool_c9_business,azure_vm_v2")
    parser.add_argument("--methods", default="seasonal-naive,seasonal-profile,ets,auto")
    parser.add_argument("--hours", default="2,9,16", help="hours of day (UTC) at which the level changes")
    parser.add_argument("--untouched", action="store_true", help="do not inject any change")
    parser.add_argument("--generated", type=int, default=0, help="so many generated series instead of the traces")
    arguments = parser.parse_args()
    traces = generated(arguments.generated) or dict(read_folder(arguments.folder))
    if arguments.generated:
        arguments.traces = ""
    for name in [name for name in arguments.traces.split(",") if name] or list(traces):
        for method in arguments.methods.split(","):
            forecaster = default_registry().create(method)
            if arguments.untouched:
                told = untouched(traces[name], forecaster)
            else:
                told = "  ".join(injected(traces[name], forecaster, factor, arguments.hours) for factor in FACTORS)
            print(f"{name:18} {method:16} {told}", flush=True)


def generated(count: int) -> dict[str, TimeSeries]:
    """Series of 18 days, some of them with changes of level of their own."""
    seeds = range(1000, 1000 + count)
    return {f"generated {seed}": generate_series(np.random.default_rng(seed), days=18, step=300) for seed in seeds}


def injected(series: TimeSeries, forecaster: Forecaster, factor: float, hours: str) -> str:
    """Losses of the three days, geometric mean over hours of the change, and in how many fits it was found."""
    ratios, found, fits = [], 0, 0
    for number, hour in enumerate(hours.split(",")):
        day = int(len(series) * series.step * 0.64 / DAY) + number  # another day of the week each
        at = (series.start // DAY + day) * DAY + int(hour) * HOUR
        moved = TimeSeries(series.start, series.step, np.where(series.times() >= at, factor, 1.0) * series.values)
        total = np.zeros((3, 2, 8))
        for age in range(3 * HOUR, 3 * DAY, 12 * HOUR):
            losses = compared(moved, forecaster, at + age, seconds=12 * HOUR)
            found, fits = found + (losses[0] != losses[1]).any(), fits + 1
            total[age // DAY] += losses
        ratios.append(total[:, 1] / total[:, 0])
    means = " ".join(f"{geometric(np.stack(ratios)[:, day].ravel().tolist()):.2f}" for day in range(3))
    return f"x{factor:.2f}: {means} ({found} of {fits} fits)"


def untouched(series: TimeSeries, forecaster: Forecaster) -> str:
    """The same loss over all that was forecast where a change was found, and its share of the trace."""
    total, found, fits = np.zeros((2, 8)), 0, 0
    for time in range(series.start + 9 * DAY, series.end - 8 * HOUR, 6 * HOUR):
        fits += 1
        if find_shifts(series.until(time).last(HISTORY // series.step)):
            total += compared(series, forecaster, time, seconds=6 * HOUR)
            found += 1
    return f"{geometric((total[1] / total[0]).tolist()) if found else 1.0:.2f} ({found} of {fits} fits)"


def compared(series: TimeSeries, forecaster: Forecaster, time: int, *, seconds: int) -> FloatArray:
    """Sums of losses for so long after a fit: without the search for changes, and with it; shape (2, 8)."""
    past = series.until(time).last(HISTORY // series.step)
    horizon = steps(60, series.step)
    plain = losses(forecaster.fit(past, horizon=horizon, levels=LEVELS), series, time, seconds)
    if not find_shifts(past):
        return np.stack([plain, plain])
    fitted = fitting(forecaster, past).fit(past, horizon=horizon, levels=LEVELS)
    return np.stack([plain, losses(fitted, series, time, seconds)])


def losses(fitted: FittedForecaster, series: TimeSeries, time: int, seconds: int) -> FloatArray:
    """Sums of pinball losses, by value or peak, minutes and level."""
    first, horizon = (time - series.start) // series.step, steps(60, series.step)
    origins = np.arange(first, first + seconds // series.step, steps(10, series.step))
    origins = origins[origins < len(series) - horizon]
    batch = predict_many(fitted, series.first(int(origins[-1]) + 1), origins, horizon=horizon, levels=LEVELS)
    came = future(series.values, origins, horizon)
    out = []
    for actual, said, minutes in ((came, batch.values, (15, 60)), (running_maximum(came), batch.peak, (5, 10))):
        at = np.array([steps(m, series.step) - 1 for m in minutes])
        loss = pinball_loss(actual[:, None, at], said[:, 1:, at], np.array(LEVELS[1:])[:, None])
        out.append(np.nansum(loss, axis=0).ravel())
    return np.concatenate(out)


if __name__ == "__main__":
    main()
