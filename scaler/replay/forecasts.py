"""Forecasts of the past as they would have been made then: refitted on the way, from what was known only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import FitFailed, InsufficientHistory
from forecasting.evaluation import rolling_forecasts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from forecasting.evaluation import Refit
    from forecasting.forecaster import Forecaster
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["fit_times", "highest_so_far", "peaks_of", "refit_at"]


def fit_times(series: TimeSeries, *, train_end: int, refit_every: int) -> list[int]:
    """When the method is fitted: at `train_end` and every `refit_every` seconds after it, on the series' grid."""
    every = max(1, refit_every // series.step) * series.step
    first = series.start + (train_end - series.start) // series.step * series.step
    return list(range(first, series.end, every)) or [first]


def refit_at(
    series: TimeSeries,
    forecaster: Forecaster,
    times: Sequence[int],
    position: int,
    *,
    horizon: int,
    levels: Sequence[float],
    history: int | None = None,
    timer: Callable[[], float] | None = None,
) -> Refit:
    """The forecasts between one fit and the next; independent of all others, so they can be made in parallel.

    A fit that fails leaves the one before it in use, as in the server.

    Args:
        series: The whole series.
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
    end = times[position + 1] if position + 1 < len(times) else series.end + series.step
    known = series.until(end)
    for attempt in range(position, -1, -1):
        rolling = rolling_forecasts(
            known,
            forecaster,
            train_end=times[attempt],
            horizon=horizon,
            levels=levels,
            refit_every=end - times[attempt],
            history=history,
            timer=timer,
        )
        try:
            return next(rolling)
        except (InsufficientHistory, FitFailed):
            if attempt == 0:
                raise
    raise AssertionError("unreachable")


def peaks_of(series: TimeSeries, refits: Iterable[Refit], *, horizon: int, levels: int) -> FloatArray:
    """The peaks of all refits by sample: shape (levels, samples, horizon), NaN where none was forecast."""
    peaks = np.full((levels, len(series), horizon), np.nan)
    for refit in refits:
        peaks[:, refit.positions] = refit.batch.peak.transpose(1, 0, 2)
    return peaks


def highest_so_far(series: TimeSeries, *, window: int) -> FloatArray:
    """The highest of the samples within the last `window` seconds, at each sample; NaN before the first known one."""
    samples = max(1, window // series.step)
    known = np.where(np.isnan(series.values), -np.inf, series.values)
    padded = np.concatenate((np.full(samples - 1, -np.inf), known))
    highest = np.lib.stride_tricks.sliding_window_view(padded, samples).max(axis=1)
    return np.where(np.isinf(highest), np.nan, highest)
