"""What it brings to read forecasts at the level that earlier fits have taught: `make bench-reading`.

The peak over lead time and asking delay, pods that start in 3 minutes, the last 40 % of each trace and eight days at
most, at 60 s steps, refitted every `--refit-every`; each forecast read at its level, and as the engine reads it.
"""

from __future__ import annotations

import argparse
import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecasting.calibration import future, running_maximum
from forecasting.refits import fit_times
from scaler.cli.pool import Pool, cores
from scaler.cli.replay.jobs import FitJob, fit
from scaler.decision import DecisionPolicy, horizon
from scaler.decision.reading import levels_for
from scaler.engine.alignment import lives_tested
from scaler.engine.ladder import STAND_INS
from scaler.replay.forecasts import peaks_of, read_peaks
from scaler.replay.study import held_at
from scaler.sources.csv import read_csv

if TYPE_CHECKING:
    from forecasting.series import FloatArray

STEP = 60
DAY = 86400
QUANTILES = (0.9, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    path: Path
    forecaster: str
    refit_every: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Per quantile: coverage as forecast and as read, and the pinball loss of the latter in parts of the former."""

    name: str
    coverage: dict[float, tuple[float, float]]
    loss: dict[float, float]


def measure(task: Task) -> Result:
    series = held_at(read_csv(task.path), STEP)
    first = len(series) - int(min(0.4 * len(series), 8 * DAY / STEP))
    policy = DecisionPolicy(threshold=1.0, lead_time=180.0)
    steps = horizon(window=policy.window, step=STEP, forecast_max_age=0.0)
    ahead = horizon(window=policy.window, step=STEP, forecast_max_age=policy.forecast_max_age)
    levels = tuple(sorted({level for quantile in QUANTILES for level in levels_for(quantile)}))
    times = tuple(fit_times(series, train_end=series.start + (first - 1) * STEP, refit_every=task.refit_every))
    fits = [
        fit(
            FitJob(
                series=series,
                ladder=(task.forecaster, *STAND_INS),
                parameters={},
                times=times,
                position=position,
                horizon=ahead,
                levels=levels,
                history=14 * DAY // STEP,
                steps=steps,
            )
        )
        for position in range(len(times))
    ]
    tested = [(one.refit, one.ranks) for one in fits if one.refit is not None]
    plain = peaks_of(series, [refit for refit, _ in tested], horizon=ahead, levels=len(levels))
    back = lives_tested(longest=task.refit_every // STEP, step=STEP)
    origins = np.arange(first, len(series) - steps)
    came = running_maximum(future(series.values, origins, steps))[:, -1]
    coverage, loss = {}, {}
    for quantile in QUANTILES:
        read = read_peaks(series, tested, quantiles=[quantile] * len(tested), steps=steps, looked_back_on=back)
        both = plain[levels.index(quantile), origins, steps - 1], read[origins, steps - 1]
        known = ~np.isnan(came) & ~np.isnan(both[0]) & ~np.isnan(both[1])
        coverage[quantile] = (
            float(np.mean(came[known] <= both[0][known])),
            float(np.mean(came[known] <= both[1][known])),
        )
        losses = [_pinball(quantile, one[known], came[known]) for one in both]
        loss[quantile] = losses[1] / losses[0]
    return Result(name=task.path.stem, coverage=coverage, loss=loss)


def _pinball(quantile: float, forecast: FloatArray, came: FloatArray) -> float:
    miss = came - forecast
    return float(np.mean(np.maximum(quantile * miss, (quantile - 1) * miss)))


def show(results: list[Result]) -> None:
    heads = [f"coverage at {quantile:g}: as forecast, as read; pinball" for quantile in QUANTILES]
    print(f"| trace | {' | '.join(heads)} |\n|---{'|---' * len(QUANTILES)}|")
    for one in results:
        cells = [
            f"{one.coverage[quantile][0]:.3f}, {one.coverage[quantile][1]:.3f}; {one.loss[quantile] - 1:+.1%}"
            for quantile in QUANTILES
        ]
        print(f"| {one.name} | {' | '.join(cells)} |")
    print("\n| quantile | off the promise, median trace, in points | worst trace | pinball, geometric mean | worst |")
    print("|---|---|---|---|---|")
    for quantile in QUANTILES:
        off = 100.0 * np.abs(np.array([one.coverage[quantile] for one in results]) - quantile)
        losses = [one.loss[quantile] for one in results]
        mean = math.exp(sum(map(math.log, losses)) / len(losses)) - 1
        before, after = np.median(off, axis=0)
        print(
            f"| {quantile:g} | {before:.1f}, {after:.1f} | {off[:, 0].max():.1f}, {off[:, 1].max():.1f} "
            f"| {mean:+.1%} | {max(losses) - 1:+.1%} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, required=True, help="a folder with MANIFEST.csv and the traces")
    parser.add_argument("--only", default="", help="names of traces, with commas")
    parser.add_argument("--forecaster", default="seasonal-profile")
    parser.add_argument("--refit-every", type=int, default=21600, help="seconds")
    parser.add_argument("--jobs", type=int, default=cores())
    arguments = parser.parse_args()
    only = set(filter(None, arguments.only.split(",")))
    with (arguments.traces / "MANIFEST.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file) if not only or row["name"] in only]
    tasks = [
        Task(path=arguments.traces / f"{name}.csv", forecaster=arguments.forecaster, refit_every=arguments.refit_every)
        for name in names
    ]
    with Pool(arguments.jobs) as pool:
        show(pool.map(measure, tasks, doing="forecasting traces"))


if __name__ == "__main__":
    main()
