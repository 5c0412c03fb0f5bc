"""What the methods share that forecast a level and a trend of the load without its seasons.

Square roots of load (a Box-Cox transform: errors grow with the level) less seasonal profiles are carried on by a level
and a trend. Both are weighted sums of the latest samples, so a method is a table of weights, and of a few
such tables the one is taken that forecasts best over several horizons in training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.errors import FitFailed
from forecasting.prepare.gaps import carried
from forecasting.prepare.outliers import masked
from forecasting.prepare.profile import fit_profiles, profile_at
from forecasting.windows import thinned

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecasting.prepare.profile import Profile
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray, Windows

__all__ = ["best_weights", "deseasonalised", "level_and_trend"]

_ORIGINS = 1500
_MIN_ORIGINS = 30


def deseasonalised(series: TimeSeries, seasons: tuple[int, ...]) -> tuple[tuple[Profile, ...], FloatArray]:
    """Profiles of the square root of load, and what they leave of it, outliers missing; shape (n,)."""
    root = np.sqrt(np.maximum(masked(series, seasons).values, 0.0))
    profiles, others = fit_profiles(root, series.times() // series.step, seasons)
    return profiles, root - others


def best_weights(
    method: str,
    left: FloatArray,
    levels: FloatArray,
    trends: FloatArray,
    course: Callable[[int], FloatArray],
    horizon: int,
) -> int:
    """Which of K candidates forecasts best over several horizons, each horizon counting alike.

    Args:
        method: Its name, for errors.
        left: What profiles leave; shape (n,).
        levels: Weights of the last L samples that make each candidate's level; shape (L, K).
        trends: The same of the trends; shape (L, K).
        course: How much of each candidate's trend is added by a horizon; shape (K,).
        horizon: The farthest, in steps.

    Raises:
        FitFailed: Fewer than 30 samples are known after the first L.
    """
    length = len(levels)
    at = np.arange(length - 1, len(left) - 1)
    at = at[~np.isnan(left[at])]
    at = thinned(at, _ORIGINS)
    if len(at) < _MIN_ORIGINS:
        raise FitFailed(f"{method}: fewer than {_MIN_ORIGINS} origins have a known sample to smooth up to")
    past = np.lib.stride_tricks.sliding_window_view(carried(left), length)[at - length + 1]
    level, trend = past @ levels, past @ trends
    padded = np.concatenate([left, np.full(horizon, np.nan)])
    loss = np.zeros(levels.shape[1])
    for ahead in np.unique([1, max(1, horizon // 4), max(1, horizon // 2), horizon]):
        came = padded[at + ahead]
        known = ~np.isnan(came)
        if np.count_nonzero(known):
            miss = np.abs(came[known, None] - level[known] - trend[known] * course(int(ahead))).mean(axis=0)
            loss += miss / max(float(miss.min()), 1e-12)
    return int(np.argmin(loss))


def level_and_trend(
    windows: Windows, profiles: tuple[Profile, ...], level: FloatArray, trend: FloatArray, course: FloatArray
) -> FloatArray:
    """The load expected after each window, in units; shape (N, H).

    Args:
        windows: The recent past.
        profiles: Of the square root of load.
        level: Weights of the samples; shape (C,).
        trend: The same; shape (C,).
        course: How much of the trend is added by each horizon; shape (H,).
    """
    steps = windows.ends[:, None] // windows.step
    usual = profile_at(profiles, steps + np.arange(1 - windows.length, 1))
    strayed = carried(np.sqrt(np.maximum(windows.values, 0.0)) - usual)
    # sums of products, not matrix products: a row's result must not depend on how many rows there are
    now = (strayed * level).sum(axis=1, keepdims=True)
    slope = (strayed * trend).sum(axis=1, keepdims=True)
    ahead: IntArray = np.arange(1, course.size + 1)
    root = now + slope * course + profile_at(profiles, steps + ahead)
    return np.asarray(np.maximum(root, 0.0) ** 2)
