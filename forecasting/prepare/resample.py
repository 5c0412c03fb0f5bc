"""Coarser grids: seasons of 1,440 steps become seasons of 96."""

from __future__ import annotations

import numpy as np

from forecasting.errors import InvalidParameter
from forecasting.series import TimeSeries

__all__ = ["coarsened"]

# A coarse step with fewer known samples than this share is unknown.
_MIN_KNOWN = 0.5


def coarsened(series: TimeSeries, factor: int) -> TimeSeries:
    """Means over `factor` samples each, on the coarse grid aligned to the epoch.

    The coarse sample at T is the mean of those within (T - factor * step, T], as
    `TimeSeries.from_samples` has it, and NaN where fewer than half of these are known. Incomplete blocks at
    both ends are dropped, so a new sample never changes an old mean.

    Args:
        series: What to coarsen.
        factor: Samples in one, 1 or more.

    Raises:
        InvalidParameter: The factor is below 1.
    """
    if factor < 1:
        raise InvalidParameter(f"factor must be 1 or more, not {factor}")
    if factor == 1:
        return series
    step = series.step * factor
    skip = (-(series.start // series.step) + 1) % factor
    blocks = max(0, (len(series) - skip) // factor)
    start = series.start + (skip + factor - 1) * series.step
    values = series.values[skip : skip + blocks * factor].reshape(blocks, factor)
    known = np.count_nonzero(~np.isnan(values), axis=1)
    means = np.nansum(values / np.maximum(known, 1)[:, None], axis=1)  # divided first: no overflow
    return TimeSeries(start if blocks else 0, step, np.where(known >= _MIN_KNOWN * factor, means, np.nan))
