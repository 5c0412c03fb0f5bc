"""What a policy reads off the forecasts, sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.adaptive import offset_after
from forecasting.features.rolling import rolling_maximum
from scaler.decision.reading import levels_for, rule_for, weights_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from forecasting.evaluation import Refit
    from forecasting.series import FloatArray, TimeSeries

__all__ = ["highest_so_far", "levels_in_force", "peaks_of", "read_peaks"]


def peaks_of(series: TimeSeries, refits: Iterable[Refit], *, horizon: int, levels: int) -> FloatArray:
    """The peaks of all refits by sample: shape (levels, samples, horizon), NaN where none was forecast."""
    peaks = np.full((levels, len(series), horizon), np.nan)
    for refit in refits:
        peaks[:, refit.positions] = refit.batch.peak.transpose(1, 0, 2)
    return peaks


def read_peaks(
    series: TimeSeries,
    refits: Sequence[tuple[Refit, NDArray[np.uint16]]],
    *,
    quantiles: Sequence[float],
    steps: int,
    looked_back_on: int,
) -> FloatArray:
    """The peaks by sample, read as the engine reads them: at the level that earlier fits have taught.

    Args:
        series: The load.
        refits: Each with the ranks of the peaks until the next, in the order of time; forecast at least at
            `scaler.decision.reading.levels_for` its quantile.
        quantiles: What each promises.
        steps: Of a decision's window.
        looked_back_on: How many fits before the one in use teach.

    Returns:
        Shape (samples, horizon), NaN where none was forecast.
    """
    horizon = refits[0][0].batch.horizon if refits else 1
    peaks = np.full((len(series), horizon), np.nan)
    for number, ((refit, _), quantile) in enumerate(zip(refits, quantiles, strict=True)):
        before = [ranks for _, ranks in refits[max(0, number - looked_back_on) : number]]
        learned = np.concatenate(before) if before else np.empty(0, dtype=np.uint16)
        offset = offset_after(learned, rule_for(quantile), steps=steps)
        rows = [refit.batch.levels.index(level) for level in levels_for(quantile)]
        for weight, row in zip(weights_at(offset, quantile), rows, strict=True):
            if weight:
                peaks[refit.positions] = np.nan_to_num(peaks[refit.positions]) + weight * refit.batch.peak[:, row]
    return peaks


def levels_in_force(
    series: TimeSeries, refits: Sequence[tuple[Refit, NDArray[np.uint16]]], *, quantiles: Sequence[float]
) -> FloatArray:
    """What is promised after each sample, shape (samples,); NaN where nothing was forecast. Arguments as above."""
    levels = np.full(len(series), np.nan)
    for (refit, _), quantile in zip(refits, quantiles, strict=True):
        levels[refit.positions] = quantile
    return levels


def highest_so_far(series: TimeSeries, *, window: int) -> FloatArray:
    """The highest of the samples within the last `window` seconds, at each sample; NaN before the first known one."""
    return rolling_maximum(series.values, max(1, window // series.step))
