"""What a forecast adds to the load, quantile by quantile: how far up a series can afford to be served.

Serving the larger of the load and the q-quantile of the coming peak costs, on average, some share of the load on top
of it: the premium of that quantile. It depends on the series far more than on q: the 0.99-quantile of a calm or
well-predicted load adds a tenth, the 0.8-quantile of a rough one doubles it. One quantile for all series therefore
spends most where the least can be foreseen. One premium for all buys a high quantile where that is cheap.

A premium is read off the forecasts alone, whatever came of them, so luck has no part in it: over days, the shed load of
one quantile against another's hangs on a handful of events, which will not come again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.batch import PredictsMany, predict_many
from forecasting.levels import DEFAULT_LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["CHOICES", "UNPREDICTABLE_SHARE", "level_within", "premiums"]

CHOICES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.965, 0.975, 0.985, 0.99)
"""Quantile levels that are chosen from. Below the median a forecast is no safeguard, above 0.99 not calibrated."""

UNPREDICTABLE_SHARE = 0.5
"""Of the premium, for a forecaster that says of itself that it knows little."""

_SPAN = 7 * 86400  # seconds: whole weeks, so that weekends count for what they are
_ORIGINS = 330
_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_ORIGINS_ONE_BY_ONE = 31  # of a method that takes its time over each


def premiums(
    fitted: FittedForecaster, series: TimeSeries, *, horizon: int, levels: Sequence[float] = CHOICES
) -> FloatArray | None:
    """The mean of max(load, peak) over the mean load, minus 1, over the last week of a series.

    Args:
        fitted: What forecasts. That it was fitted to this very past does not flatter it: the width of its bands counts
            here, not what came of them.
        series: The past.
        horizon: Steps to forecast.
        levels: Quantile levels, strictly increasing.

    Returns:
        Shape (levels, horizon), non-decreasing in both; None where that is not known: no load, or no forecast from it.
    """
    first = max(0, len(series) - _SPAN // series.step)
    count = _ORIGINS if isinstance(fitted, PredictsMany) else _ORIGINS_ONE_BY_ONE
    known = first + np.flatnonzero(~np.isnan(series.values[first:]))
    if not known.size:
        return None
    # multiples of the golden section spread evenly without a rhythm, so they fall on all minutes of the hour
    origins = known[np.unique((np.arange(1, count + 1) * _GOLDEN % 1.0 * known.size).astype(np.int64))]
    batch = predict_many(fitted, series, origins, horizon=horizon, levels=levels)
    forecast = batch.known
    load = series.values[origins[forecast]]
    total = float(load.sum())
    if not total > 0.0:
        return None
    served = np.maximum(batch.peak[forecast], load[:, None, None])
    found = served.sum(axis=0) / total - 1.0
    return found if bool(np.isfinite(found).all()) else None


def level_within(
    found: FloatArray | None,
    premium: float,
    *,
    steps: int,
    unpredictable: bool = False,
    levels: Sequence[float] = CHOICES,
) -> float:
    """The highest of the levels whose premium is no more than this; the lowest if all cost more.

    Args:
        found: What `premiums` gives; None: not known, then it is 0.9.
        premium: What may be added to the load on average, in parts of it.
        steps: The horizon that counts, 1 or more; held beyond the last.
        unpredictable: The forecaster says that it does no better than the last value; then half as much is added.
        levels: Quantile levels, strictly increasing.
    """
    if found is None:
        return DEFAULT_LEVEL
    if unpredictable:
        premium *= UNPREDICTABLE_SHARE
    affordable = np.flatnonzero(found[:, min(steps, found.shape[1]) - 1] <= premium)
    return levels[int(affordable[-1])] if affordable.size else levels[0]
