"""What a policy reads off the forecasts, sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forecasting.evaluation import Refit
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["highest_so_far", "peaks_of"]


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
