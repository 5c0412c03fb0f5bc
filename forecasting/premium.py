"""What a forecast adds to the load, quantile by quantile: how far up a series can afford to be served.

Serving the larger of the load and the q-quantile of the coming peak costs, on average, some share on top of what
serving the median would: the premium of that quantile. It depends on the series far more than on q: the 0.99-quantile
of a calm or well-predicted load adds a tenth, the 0.8-quantile of a rough one half. One quantile for all series
therefore spends most where the least can be foreseen. One premium for all buys a high quantile where that is cheap.

It is counted from the median on, because what the median asks for is no safety: half of the peaks are higher, of
whatever series, and of one with many small bursts the median peak alone is a third above the load.

A premium is read off the forecasts alone, whatever came of them, so luck has no part in it: over days, the shed load of
one quantile against another's hangs on a handful of events, which will not come again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import predict_many, vectorised
from forecasting.levels import DEFAULT_LEVEL
from forecasting.windows import golden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["CHOICES", "ENOUGH", "allowed", "beyond_median", "highest_level", "level_within", "premiums"]

CHOICES = (0.5, 0.9, 0.925, 0.95, 0.9575, 0.965, 0.97, 0.975, 0.9865, 0.99)
"""Quantile levels that are chosen from. Below the median a forecast is no safeguard. None between it and 0.9, which
costs much of what 0.9 does and buys little: a load that cannot afford 0.9 has peaks that stand out far, and those are
what it sheds. Above 0.99 a week has few peaks to learn a level from, and each halving of the risk costs more than that
before it."""

ENOUGH = 0.0015
"""A higher quantile is not looked for where no more of the load than this is expected above the one at hand."""

# Up to this lead time, in seconds, what the last level costs on top is not worth what it saves.
_SOON = 90.0
_BEYOND = (0.993, 0.995, 0.998, 0.9995)  # and on to here the load expected above a level is summed up
_SPAN = 7 * 86400  # seconds: whole weeks, so that weekends count for what they are
_ORIGINS = 330
_ORIGINS_ONE_BY_ONE = 31  # of a method that takes its time over each


def premiums(
    fitted: FittedForecaster, series: TimeSeries, *, horizon: int, levels: Sequence[float] = CHOICES
) -> FloatArray | None:
    """What serving max(load, peak) adds to the load, and what is expected above it, over the last week of a series.

    Args:
        fitted: What forecasts. That it was fitted to this very past does not flatter it: the width of its bands counts
            here, not what came of them.
        series: The past.
        horizon: Steps to forecast.
        levels: Quantile levels, strictly increasing.

    Returns:
        Shape (2, levels, horizon), in parts of the load. First what is added: the mean of max(load, peak) over the
        mean load, minus 1; non-decreasing in level and horizon. Then what is expected above it by the forecast's own
        higher quantiles; non-increasing in level. None where that is not known: no load, or no forecast from it.
    """
    first = max(0, len(series) - _SPAN // series.step)
    count = _ORIGINS if vectorised(fitted) else _ORIGINS_ONE_BY_ONE
    known = first + np.flatnonzero(~np.isnan(series.values[first:]))
    if not known.size:
        return None
    # not evenly spaced, so that they fall on all minutes of the hour
    origins = known[np.unique((golden(count) * known.size).astype(np.int64))]
    asked = (*levels, *(level for level in _BEYOND if level > levels[-1]))
    batch = predict_many(fitted, series, origins, horizon=horizon, levels=asked)
    forecast = batch.known
    load = series.values[origins[forecast]]
    total = float(load.sum())
    if not total > 0.0:
        return None
    served = np.maximum(batch.peak[forecast], load[:, None, None]).sum(axis=0) / total
    # what lies above a level is the integral of the higher quantiles over it
    between = np.diff(asked)[:, None] * (served[1:] + served[:-1]) / 2
    above = np.zeros_like(served)
    above[:-1] = np.cumsum(between[::-1], axis=0)[::-1]
    unmet = np.maximum(above - (asked[-1] - np.array(asked))[:, None] * served, 0.0)
    found = np.stack([served - 1.0, unmet])[:, : len(levels)]
    return found if bool(np.isfinite(found).all()) else None


def allowed(level: float, premium: float) -> float:
    """What a level may add to the median: the premium at 0.9, and the same factor for each halving of the risk."""
    return math.pow(1.0 + premium, _halvings(level) / _halvings(DEFAULT_LEVEL)) - 1.0


def highest_level(lead_time: float) -> float:
    """The highest level that is chosen for replicas that take so long to serve.

    What is asked for too late is missed for as long as they take: safety costs the same, and saves the more the longer.

    Args:
        lead_time: Seconds.
    """
    return CHOICES[-1] if lead_time > _SOON else CHOICES[-2]


def beyond_median(added: FloatArray) -> FloatArray:
    """What levels add to what the lowest of them asks for.

    Args:
        added: What each adds to the load, see `premiums`; shape (levels,), the first is the median's.
    """
    beyond: FloatArray = (1.0 + added) / (1.0 + added[0]) - 1.0
    return beyond


def level_within(
    found: FloatArray | None,
    premium: float,
    *,
    steps: int,
    levels: Sequence[float] = CHOICES,
    highest: float = CHOICES[-1],
) -> float:
    """The highest of the levels that adds no more than it may, and none higher than there is need for.

    Args:
        found: What `premiums` gives; None: not known, then it is 0.9.
        premium: What the 0.9-quantile may add on average, in parts of what the median asks for; see `allowed` for the
            others.
        steps: The horizon that counts, 1 or more; held beyond the last.
        levels: Quantile levels, strictly increasing from the median, which adds nothing and so is always allowed.
        highest: None above this one is taken, see `highest_level`.
    """
    if found is None:
        return DEFAULT_LEVEL
    added, unmet = found[:, :, min(steps, found.shape[2]) - 1]
    may = [allowed(level, premium) if level <= highest else -1.0 for level in levels]
    affordable = np.flatnonzero(beyond_median(added) <= may)
    enough = np.flatnonzero(unmet <= ENOUGH)
    return levels[min(int(affordable[-1]), int(enough[0]) if enough.size else len(levels) - 1)]


def _halvings(level: float) -> float:
    """How often the risk of an even chance is halved."""
    return math.log2(0.5 / (1.0 - level))
