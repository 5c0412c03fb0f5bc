"""Another yardstick than `naive`: the last value with bands proportional to it, for figures quoted against such a one.

`naive` has additive bands: an hour at 5 and one at 500 have the same. Bands that are a share of the last value are the
other way to put a band around it, and lose more. Which of the two a published ratio was taken against changes it
by a third, so the bench prints both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.calibration import conformal_quantiles, future
from forecasting.evaluation import pinball_loss
from forecasting.prepare.gaps import carried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.evaluation import Refit
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["SHARE", "proportional_bands", "proportional_losses"]

SHARE = 0.1
"""Of the mean load, added to loads before ratios are taken: after an idle minute, no ratio says anything."""


def proportional_bands(
    said: FloatArray, came: FloatArray, now: FloatArray, *, base: float, levels: Sequence[float]
) -> FloatArray:
    """Quantiles around what is said, as far from it in ratio as what came was; shape (M, levels, H).

    Args:
        said: To calibrate on; shape (N,).
        came: After each of it, at H horizons; shape (N, H).
        now: What is said; shape (M,).
        base: Added to loads before ratios are taken.
        levels: Quantile levels.
    """
    quantiles = conformal_quantiles(np.log(came + base) - np.log(said[:, None] + base), levels)
    return np.asarray((now[:, None, None] + base) * np.exp(quantiles) - base)


def proportional_losses(
    series: TimeSeries, refits: Sequence[Refit], *, horizons: Sequence[int], levels: Sequence[float], history: int
) -> dict[int, dict[float, float]]:
    """Mean pinball losses of the value at each horizon, calibrated when the methods are, on what they are fitted to.

    Args:
        series: The series forecast.
        refits: When, and from where, the methods forecast.
        horizons: In steps.
        levels: Quantile levels.
        history: Samples to calibrate on, at most.
    """
    at = np.asarray(horizons) - 1
    last = carried(series.values)
    losses = []
    for refit in refits:
        past = series.until(refit.at).last(history)
        begin = (past.start - series.start) // series.step
        base = SHARE * float(np.nanmean(past.values))
        each = slice(begin, begin + len(past))
        before = future(past.values, np.arange(len(past)), int(max(horizons)))[:, at]
        said = proportional_bands(last[each], before, last[refit.positions], base=base, levels=levels)
        came = future(series.values, refit.positions, int(max(horizons)))[:, at]
        losses.append(pinball_loss(came[:, None, :], np.maximum(said, 0.0), np.asarray(levels)[None, :, None]))
    mean = np.nanmean(np.concatenate(losses), axis=0)
    return {h: {level: float(mean[i, j]) for i, level in enumerate(levels)} for j, h in enumerate(horizons)}
