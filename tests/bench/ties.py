"""Coverage of a load that is now and then exactly what was forecast for it, as an idle one is.

Where a load is 0 with a probability of 0.99, its 0.9-quantile is 0, and 0.99 of what comes is at or below it: the share
of outcomes at or below a quantile is above its level by as much as the forecast is right. What is uniform then is the
rank of an outcome shared out over the levels whose quantiles it equals: Czado, Gneiting and Held, "Predictive model
assessment for count data", Biometrics 65, 2009 (the probability integral transform that is not randomised).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray

__all__ = ["shared_coverage"]


def shared_coverage(came: FloatArray, quantiles: FloatArray, levels: Sequence[float], level: float) -> FloatArray:
    """How much of each outcome's rank lies at or below a level.

    Args:
        came: What came; shape (N,).
        quantiles: What was forecast, non-decreasing in level; shape (N, L).
        levels: Of the quantiles, L of them, `level` among them.
        level: Promised.

    Returns:
        0 or 1 where the outcome equals none of the quantiles; else which part of the levels that it equals, or that lie
        below the lowest if it equals that, is at or below the one promised. NaN where nothing is known. Shape (N,).
    """
    at = np.concatenate([[0.0], levels, [1.0]])
    below = at[(quantiles < came[:, None]).sum(axis=1)]
    through = at[np.minimum((quantiles <= came[:, None]).sum(axis=1), len(levels))]
    through = np.where(quantiles[:, -1] == came, 1.0, through)
    tied = through > below
    part = np.divide(level - below, through - below, out=np.zeros(len(came)), where=tied)
    plain = came <= quantiles[:, list(levels).index(level)]
    out = np.where(tied, np.clip(part, 0.0, 1.0), plain)
    return np.asarray(np.where(np.isnan(came) | np.isnan(quantiles).any(axis=1), np.nan, out))
