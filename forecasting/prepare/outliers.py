"""Spikes and outages that would teach a method the wrong thing: masked from training, never from the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecasting.prepare.gaps import carried
from forecasting.prepare.scale import in_units, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forecasting.series import FloatArray, TimeSeries

__all__ = ["masked", "outliers"]

# Robust standard deviations from what the hour and the season make usual.
_FAR = 12.0
# What more than this share of samples do is the series' nature, not an accident.
_RARE = 0.01
# An outage: so many seconds or more below this share of what the season makes usual.
_OUTAGE_SECONDS = 600
_OUTAGE_SHARE = 0.05


def outliers(series: TimeSeries, seasons: Sequence[int] = ()) -> NDArray[np.bool_]:
    """Which samples are spikes or outages; boolean, shape (n,).

    A sample counts as an accident if it is far from what was usual at this point of the season, and if such
    samples are rare: a job that runs every night is no outlier, a flash crowd is.

    Args:
        series: History; may hold NaN.
        seasons: Season lengths in steps; the usual is the median over their cycles.
    """
    values = in_units(series, unit_of(series.values)).values
    if not series.known:
        return np.zeros(values.shape, dtype=bool)
    usual = _usual(values, seasons)
    distance = values - usual
    # idle nights keep to their usual 0 exactly, and would make the days look wild
    busy = np.abs(distance[~np.isnan(distance) & (usual != 0)])
    spread = 1.4826 * float(np.median(busy)) if busy.size else 0.0
    far = np.abs(np.nan_to_num(distance)) > _FAR * spread
    far &= spread > 0
    down = (values <= _OUTAGE_SHARE * usual) & (usual > 0)
    down = _runs(down, max(2, -(-_OUTAGE_SECONDS // series.step)))
    far &= ~down  # an outage is no spike, and must not use up what may be spikes
    out = np.zeros(values.shape, dtype=bool)
    for kind in (far, down):
        if np.count_nonzero(kind) <= _RARE * values.size:
            out |= kind
    return out


def masked(series: TimeSeries, seasons: Sequence[int] = ()) -> TimeSeries:
    """The series with its `outliers` missing."""
    values = np.where(outliers(series, seasons), np.nan, series.values)
    return type(series)(series.start, series.step, values)


def _usual(values: FloatArray, seasons: Sequence[int]) -> FloatArray:
    """The median over the cycles of the shortest season with three cycles or more, else over all."""
    n = values.size
    for season in sorted(seasons):
        count = n // season
        if count < 3:
            break
        tail = carried(values)[n - count * season :].reshape(count, season)
        return np.asarray(np.median(tail, axis=0)[(np.arange(n) - n % season) % season])
    return np.full(n, np.nanmedian(values))


def _runs(flags: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Only the runs of at least so many."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    out = np.zeros(flags.shape, dtype=bool)
    for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        out[start:end] = end - start >= least
    return out
