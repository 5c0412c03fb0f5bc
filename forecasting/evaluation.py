"""Rolling-origin evaluation: what a forecaster would have said, origin by origin, and how good that was.

Losses: the pinball loss of each quantile (Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978;
divide by another forecaster's to compare), the mean absolute scaled error of the median (Hyndman and Koehler,
"Another look at measures of forecast accuracy", International Journal of Forecasting 22, 2006) and the share
of actual values at or below each quantile, its coverage. Each for the value at a horizon and for the peak up
to it.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # scores can be stored: msgspec reads their annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import predict_many
from forecasting.calibration import future, running_maximum
from forecasting.errors import FitFailed, InsufficientHistory, InvalidParameter
from forecasting.forecast import checked_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from forecasting.batch import ForecastBatch
    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = [
    "Evaluation",
    "Refit",
    "Score",
    "evaluate",
    "pinball_loss",
    "rolling_forecasts",
    "rolling_origin",
    "score",
    "training_scale",
]


@dataclass(frozen=True, slots=True)
class Score:
    """How good the forecasts of one horizon were.

    Attributes:
        n: Origins whose outcome is known.
        mase: Mean absolute error of the median over that of the last value, one step ahead, in training; NaN
            where the latter is 0.
        pinball: Mean pinball loss by level, in the series' own unit.
        coverage: Share of outcomes at or below the quantile, by level.
    """

    n: int
    mase: float
    pinball: Mapping[float, float]
    coverage: Mapping[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """What one fit said from the origins it served.

    Attributes:
        at: Time of the last sample fitted to, epoch seconds.
        fitted: The forecaster; the one before if this fit failed.
        failed: Why the fit failed, or empty.
        fit_seconds: What the fit took by the timer given; 0 without.
        predict_seconds: What one forecast took on average by it, in the batch; 0 without.
        batch: Forecasts from each origin.
        positions: Where in the series these origins are.
    """

    at: int
    fitted: FittedForecaster
    failed: str
    fit_seconds: float
    predict_seconds: float
    batch: ForecastBatch
    positions: IntArray


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores over all origins.

    Attributes:
        values: By horizon in steps, of the value at that horizon.
        peaks: By horizon in steps, of the maximum up to that horizon.
        fit_seconds: One figure per refit, by the timer given.
        predict_seconds: Mean time of one forecast in a batch, by the timer given.
        failures: What refits failed with.
    """

    values: Mapping[int, Score]
    peaks: Mapping[int, Score]
    fit_seconds: tuple[float, ...]
    predict_seconds: float
    failures: tuple[str, ...]


def rolling_forecasts(
    series: TimeSeries,
    forecaster: Forecaster,
    *,
    train_end: int,
    horizon: int,
    levels: Sequence[float],
    refit_every: int | None = None,
    history: int | None = None,
    stride: int = 1,
    timer: Callable[[], float] | None = None,
) -> Iterator[Refit]:
    """Forecasts from every origin after `train_end`, refitting on the way; each uses the past only.

    The first fit sees the samples up to `train_end`, each later one those up to its own time. Cutting the
    series' end off changes no forecast issued before the cut.

    Args:
        series: The whole series.
        forecaster: What to fit.
        train_end: Time of the last sample of the first fit, and of the first origin; epoch seconds.
        horizon: Steps to forecast.
        levels: Quantile levels.
        refit_every: Seconds between fits. None: fit once.
        history: Fit to at most so many of the latest samples. None: all.
        stride: Steps between origins.
        timer: Seconds on a clock of the caller's, e.g. `time.process_time`.

    Raises:
        InsufficientHistory: The first fit has not enough.
        FitFailed: The first fit failed. Later fits that fail leave the one before in use.
        InvalidParameter: `train_end` is not inside the series, or a number is not positive.
    """
    if not series.start <= train_end < series.end:
        raise InvalidParameter(
            f"train_end {train_end} must lie inside the series, from {series.start} to before {series.end}"
        )
    for name, number in {"horizon": horizon, "stride": stride, "refit_every": refit_every or 1}.items():
        if number < 1:
            raise InvalidParameter(f"{name} must be 1 or more, not {number}")
    clock = timer or (lambda: 0.0)
    first = (train_end - series.start) // series.step
    every = len(series) if refit_every is None else max(1, refit_every // series.step)
    fitted: FittedForecaster | None = None
    for begin in range(first, len(series), every):
        past = series.first(begin + 1)
        started, failed = clock(), ""
        try:
            training = past if history is None else past.last(history)
            fitted = forecaster.fit(training, horizon=horizon, levels=levels)
        except (InsufficientHistory, FitFailed) as error:
            if fitted is None:
                raise
            failed = str(error)
        fit_seconds = clock() - started
        start = first + -(-(begin - first) // stride) * stride  # origins keep their stride across refits
        positions = np.arange(start, min(begin + every, len(series)), stride, dtype=np.int64)
        started = clock()
        batch = predict_many(fitted, series, positions, horizon=horizon, levels=levels)
        each = (clock() - started) / max(1, len(positions))
        yield Refit(past.end, fitted, failed, fit_seconds, each, batch, positions)


def rolling_origin(
    series: TimeSeries,
    forecaster: Forecaster,
    *,
    train_end: int,
    horizons: Sequence[int],
    levels: Sequence[float],
    refit_every: int | None = None,
    history: int | None = None,
    stride: int = 1,
    timer: Callable[[], float] | None = None,
) -> Evaluation:
    """Scores a forecaster from rolling origins; arguments and errors as of `rolling_forecasts`.

    Args:
        series: The whole series.
        forecaster: What to evaluate.
        train_end: Time of the last sample of the first fit; epoch seconds.
        horizons: Horizons to score, in steps.
        levels: Quantile levels to score.
        refit_every: Seconds between fits. None: fit once.
        history: Fit to at most so many of the latest samples. None: all.
        stride: Steps between origins.
        timer: Seconds on a clock of the caller's.
    """
    refits = rolling_forecasts(
        series,
        forecaster,
        train_end=train_end,
        horizon=max(horizons),
        levels=sorted({*levels, 0.5}),
        refit_every=refit_every,
        history=history,
        stride=stride,
        timer=timer,
    )
    return evaluate(series, tuple(refits), horizons=horizons, levels=levels, train_end=train_end)


def evaluate(
    series: TimeSeries,
    refits: Sequence[Refit],
    *,
    horizons: Sequence[int],
    levels: Sequence[float],
    train_end: int,
) -> Evaluation:
    """Scores forecasts that `rolling_forecasts` has made: for callers that need the forecasts, too.

    Args:
        series: The series forecast.
        refits: What `rolling_forecasts` gave; level 0.5 must be among its levels for MASE, which is NaN else.
        horizons: Horizons to score, in steps.
        levels: Levels to score; each must be among those forecast.
        train_end: The errors of MASE are scaled by the mean step up to here.
    """
    levels = checked_levels(levels)
    at = np.asarray(horizons, dtype=np.int64) - 1
    scale = training_scale(series, train_end)
    actual, highest, values, peaks = [], [], [], []
    for refit in refits:
        came = future(series.values, refit.positions, refit.batch.horizon)
        actual.append(came[:, at])
        highest.append(running_maximum(came)[:, at])
        values.append(refit.batch.values[:, :, at])
        peaks.append(refit.batch.peak[:, :, at])
    forecast_levels = refits[0].batch.levels

    def scores(outcome: list[FloatArray], forecast: list[FloatArray]) -> dict[int, Score]:
        y, q = np.concatenate(outcome), np.concatenate(forecast)
        return {
            horizon: score(y[:, i], q[:, :, i], forecast_levels, levels, scale) for i, horizon in enumerate(horizons)
        }

    issued = sum(len(refit.batch) for refit in refits)
    return Evaluation(
        values=scores(actual, values),
        peaks=scores(highest, peaks),
        fit_seconds=tuple(refit.fit_seconds for refit in refits),
        predict_seconds=sum(r.predict_seconds * len(r.batch) for r in refits) / max(1, issued),
        failures=tuple(refit.failed for refit in refits if refit.failed),
    )


def pinball_loss(actual: FloatArray, quantile: FloatArray, level: FloatArray | float) -> FloatArray:
    """The loss that the true quantile minimises, elementwise: level x shortfall, or (1 - level) x excess."""
    miss = actual - quantile
    return np.asarray(np.maximum(level * miss, (level - 1) * miss))


def training_scale(series: TimeSeries, train_end: int) -> float:
    """What MASE divides by: the mean absolute step up to `train_end`, NaN where none is known."""
    with np.errstate(over="ignore"):
        moves = np.abs(np.diff(series.until(train_end).values))
    return float(np.nanmean(moves)) if np.count_nonzero(~np.isnan(moves)) else float("nan")


def score(
    actual: FloatArray,
    quantiles: FloatArray,
    forecast_levels: tuple[float, ...],
    levels: tuple[float, ...],
    scale: float,
) -> Score:
    """Scores the forecasts of one horizon; a missing outcome or forecast (NaN) does not count.

    Args:
        actual: What came; shape (N,).
        quantiles: What was forecast; shape (N, L).
        forecast_levels: The L levels of these.
        levels: Those to score.
        scale: `training_scale` of the series.
    """
    both = ~np.isnan(actual) & ~np.isnan(quantiles[:, 0])
    y, q = actual[both], quantiles[both]
    if not y.size:
        nothing = dict.fromkeys(levels, float("nan"))
        return Score(0, float("nan"), nothing, dict(nothing))
    rows = {level: forecast_levels.index(level) for level in levels}
    mase = float("nan")
    if 0.5 in forecast_levels and scale > 0:
        mase = float(np.mean(np.abs(y - q[:, forecast_levels.index(0.5)])) / scale)
    return Score(
        n=int(y.size),
        mase=mase,
        pinball={level: float(np.mean(pinball_loss(y, q[:, row], level))) for level, row in rows.items()},
        coverage={level: float(np.mean(y <= q[:, row])) for level, row in rows.items()},
    )
