"""A load trace on the grid of HPA syncs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaler.replay.hpa import SYNC_PERIOD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecasting.series import FloatArray, TimeSeries

__all__ = ["Demand"]


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """The load from sync to sync, and what is known of it.

    Attributes:
        start: Time of the first sync, epoch seconds.
        load: Load between a sync and the next, shape (syncs,); NaN where it is not known.
        observed: What a query at the sync gives: the newest sample, shape (syncs,); NaN where there is none.
        sample: Index of that sample in the series, shape (syncs,); negative before the first.
    """

    start: int
    load: FloatArray
    observed: FloatArray
    sample: NDArray[np.int64]

    @classmethod
    def of(cls, series: TimeSeries, *, start: int, metric_delay: int = 0) -> Demand:
        """The part of a series from `start` on: each sample's load lasts until the next sample.

        Args:
            series: The whole trace.
            start: The first sync, epoch seconds, not before the first sample and at least one sync before the end.
            metric_delay: Seconds until a load is seen: a sample's age, by scraping and averaging, when it is new.
        """
        end = series.end + series.step
        ticks = np.arange(start, end - SYNC_PERIOD + 1, SYNC_PERIOD, dtype=np.int64)
        sample = (ticks - metric_delay - series.start) // series.step
        return cls(start, _load(series, ticks), _at(series, sample), sample)

    def times(self) -> NDArray[np.int64]:
        """Times of the syncs, epoch seconds, shape (syncs,)."""
        return self.start + SYNC_PERIOD * np.arange(len(self.load), dtype=np.int64)


def _at(series: TimeSeries, index: NDArray[np.int64]) -> FloatArray:
    values = series.values[np.maximum(index, 0)]
    return np.where(index < 0, np.nan, values)


def _load(series: TimeSeries, ticks: NDArray[np.int64]) -> FloatArray:
    """The mean of what the samples hold between each sync and the next; the sample itself where one lasts that long."""
    held = _at(series, (ticks - series.start) // series.step)
    if series.step % SYNC_PERIOD == 0 and (ticks[0] - series.start) % SYNC_PERIOD == 0:
        return held
    edges = np.arange(len(series) + 1) * series.step + series.start
    total = np.concatenate(([0.0], np.cumsum(np.nan_to_num(series.values)) * series.step))
    until = np.interp(np.append(ticks, ticks[-1] + SYNC_PERIOD), edges, total)
    return np.where(np.isnan(held), np.nan, np.diff(until) / SYNC_PERIOD)
