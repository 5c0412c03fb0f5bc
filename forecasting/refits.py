"""Fits of a rolling-origin walk one by one: each stands alone, so they can be made in parallel, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import predict_many
from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.evaluation import Refit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forecasting.forecaster import FittedForecaster, Forecaster
    from forecasting.series import TimeSeries
    from forecasting.windows import IntArray

__all__ = ["LatestFit", "fit_times", "latest_fit", "origins_of", "refit_at"]


@dataclass(frozen=True, slots=True, eq=False)
class LatestFit:
    """The fit in use at some time.

    Attributes:
        fitted: The forecaster.
        at: Time of the last sample fitted to, epoch seconds; earlier than the fit was due if that one failed.
        failed: Why the ones due after it failed, or empty.
        seconds: What the fit took, with the failed ones before it, by the timer given; 0 without.
    """

    fitted: FittedForecaster
    at: int
    failed: str
    seconds: float


def fit_times(series: TimeSeries, *, train_end: int, refit_every: int) -> list[int]:
    """When the method is fitted: at `train_end` and every `refit_every` seconds after it, on the series' grid.

    A fit that is due at the very last sample is one of them: what is forecast there must not depend on whether the
    series goes on.
    """
    every = max(1, refit_every // series.step) * series.step
    first = series.start + (train_end - series.start) // series.step * series.step
    return list(range(first, series.end + 1, every))


def origins_of(series: TimeSeries, times: Sequence[int], position: int) -> IntArray:
    """Positions in the series of the origins that one of these fits serves: from its own to before the next one's."""
    ends = (*times[1:], series.end + series.step)
    first, last = ((time - series.start) // series.step for time in (times[position], ends[position]))
    return np.arange(first, last, dtype=np.int64)


def latest_fit(
    series: TimeSeries,
    forecaster: Forecaster,
    times: Sequence[int],
    position: int,
    *,
    horizon: int,
    levels: Sequence[float],
    history: int | None = None,
    timer: Callable[[], float] | None = None,
) -> LatestFit:
    """The fit in use from one fit time to the next. One that fails leaves the one before in use, as in the server.

    Args:
        series: The whole series; each fit sees the samples up to its own time.
        forecaster: What to fit.
        times: All fit times.
        position: Which of them.
        horizon: Steps to forecast.
        levels: Quantile levels.
        history: Fit to at most so many of the latest samples; None: all.
        timer: Seconds on a clock of the caller's.

    Raises:
        InsufficientHistory, FitFailed: This fit failed, and all before it.
    """
    clock = timer or (lambda: 0.0)
    started, failures = clock(), []
    for attempt in range(position, -1, -1):
        past = series.until(times[attempt])
        training = past if history is None else past.last(history)
        try:
            fitted = forecaster.fit(training, horizon=horizon, levels=levels)
        except (InsufficientHistory, FitFailed) as error:
            failures.append(str(error))
            if attempt == 0:
                raise
            continue
        return LatestFit(fitted, past.end, "; ".join(failures), clock() - started)
    raise AssertionError("unreachable")


def refit_at(
    series: TimeSeries,
    forecaster: Forecaster,
    times: Sequence[int],
    position: int,
    *,
    horizon: int,
    levels: Sequence[float],
    history: int | None = None,
) -> Refit:
    """The fit in use from one fit time to the next, and its forecasts; arguments and errors as of `latest_fit`."""
    fit = latest_fit(series, forecaster, times, position, horizon=horizon, levels=levels, history=history)
    origins = origins_of(series, times, position)
    batch = predict_many(fit.fitted, series.first(int(origins[-1]) + 1), origins, horizon=horizon, levels=levels)
    return Refit(fit.at, fit.fitted, fit.failed, fit.seconds, 0.0, batch, origins)
