"""The recent past of many forecast origins at once: what vectorised forecasting looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forecasting.prepare.scale import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forecasting.series import FloatArray, TimeSeries

__all__ = ["IntArray", "Windows", "golden", "scattered", "thinned"]

IntArray = NDArray[np.int64]
# The golden section: multiples of it lie as evenly between whole numbers as any do, and come round to none.
_GOLDEN = (5**0.5 - 1) / 2


def scattered(count: int, of: int) -> IntArray:
    """About so many of `of` positions, in order: one in each of as many equal stretches, at a place of its own there.

    Evenly spaced ones see a load that goes by the clock at a few of its moments alone: every fifth minute of one that
    goes by quarters of an hour is three of fifteen.

    Source: golden-ratio sequences as van der Corput's alternative, Kuipers and Niederreiter, "Uniform distribution of
    sequences", Wiley 1974, chapter 2.

    Args:
        count: How many; a few less where they fall on the same one. All of them, if there are not more.
        of: How many positions there are.
    """
    if count >= of:
        return np.arange(of)
    return np.unique(((np.arange(count) + golden(count)) * (of / count)).astype(np.int64))


def thinned(positions: IntArray, about: int) -> IntArray:
    """Of these positions so many or up to twice as many, scattered; all of them, if there are not that many."""
    return positions[scattered(len(positions) // max(1, len(positions) // about), len(positions))]


def golden(count: int, begin: float = 0.0) -> FloatArray:
    """So many places in [0, 1), spread evenly whichever stretch of them is looked at; shape (count,)."""
    return np.asarray((begin + _GOLDEN * np.arange(count)) % 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """One row per forecast origin: the samples up to it and nothing later.

    Every row ends in a known sample, its *anchor*: trailing gaps are cut off, because a missing sample has
    not been seen, so forecasting it is part of the horizon (`age` steps more of it).

    Attributes:
        values: The samples, missing ones NaN; shape (N, C). `values[:, -1]` is known in every row.
        ends: Time of each row's last column, epoch seconds; shape (N,).
        age: Steps between the anchor and the origin, 0 where the origin's own sample is known; shape (N,).
        rows: Which of the origins asked for these are: those with nothing known are left out; shape (N,).
        step: Seconds between columns.
    """

    values: FloatArray
    ends: IntArray
    age: IntArray
    rows: IntArray
    step: int

    @classmethod
    def at(cls, series: TimeSeries, origins: IntArray, length: int) -> Windows:
        """The windows of `length` samples that end at these positions of the series.

        Args:
            series: Where the windows are cut from.
            origins: Positions in the series, each the last sample that is known then; shape (M,).
            length: Samples in a window, 1 or more. What lies before the series' start is NaN.
        """
        padded = np.concatenate([np.full(length, np.nan), series.values])
        known = np.where(np.isnan(padded), -1, np.arange(padded.size))
        anchors = np.maximum.accumulate(known)[origins + length]
        age = origins + length - anchors
        rows = np.flatnonzero((anchors >= 0) & (age < length))
        anchors, age = anchors[rows], age[rows]
        view = np.lib.stride_tricks.sliding_window_view(padded, length)
        starts = np.maximum(anchors - length + 1, 0)
        apart = np.diff(starts)
        if apart.size and apart[0] > 0 and (apart == apart[0]).all() and not age.any():
            values = view[starts[0] : starts[-1] + 1 : apart[0]]  # no copy: thousands of windows overlap a lot
        else:
            values = view[starts]
        # what slid in on the left lies before the window asked for: unseen, so that context_length holds
        for row in np.flatnonzero(age):
            values[row, : age[row]] = np.nan
        values.setflags(write=False)
        ends = series.start + (anchors - length) * series.step
        return cls(values, ends.astype(np.int64), age.astype(np.int64), rows.astype(np.int64), series.step)

    @classmethod
    def at_ends(cls, series: Sequence[TimeSeries], units: Sequence[float], length: int) -> Windows:
        """The windows at the ends of several series of one step.

        Args:
            series: Each as far back as it may be looked at.
            units: What each series is divided by; see `forecasting.prepare.scale`.
            length: Samples in a window, 1 or more: the longest of them, or more. What lies before a start is NaN.
        """
        values, ends = np.full((len(series), length), np.nan), np.array([one.end for one in series], dtype=np.int64)
        for row, one in zip(values, series, strict=True):
            row[length - len(one) :] = one.values
        values = cut(values, np.array(units)[:, None])
        known = ~np.isnan(values)
        age, rows = np.zeros(len(series), dtype=np.int64), np.arange(len(series))
        if not known[:, -1].all():
            age, rows = np.argmax(known[:, ::-1], axis=1).astype(np.int64), np.flatnonzero(known.any(axis=1))
            for row in rows[age[rows] > 0]:
                values[row, age[row] :] = values[row, : -age[row]].copy()
                values[row, : age[row]] = np.nan
            values, age, ends = values[rows], age[rows], ends[rows]
        values.setflags(write=False)
        return cls(values, ends - age * series[0].step, age, rows.astype(np.int64), series[0].step)

    def by_age(self) -> Iterator[tuple[int, Windows]]:
        """Each age that there is, and the windows of it."""
        ages = np.unique(self.age)
        for age in ages:
            yield int(age), self if len(ages) == 1 else self.take(np.flatnonzero(self.age == age))

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def length(self) -> int:
        """Samples in each window."""
        return int(self.values.shape[1])

    @property
    def last(self) -> FloatArray:
        """The last known sample of each row; shape (N,)."""
        return self.values[:, -1]

    def times_ahead(self, horizon: int) -> IntArray:
        """Times of the steps after each row's end, epoch seconds; shape (N, horizon)."""
        return self.ends[:, None] + self.step * np.arange(1, horizon + 1, dtype=np.int64)

    def times(self) -> IntArray:
        """Times of the columns, epoch seconds; shape (N, C)."""
        return self.ends[:, None] + self.step * np.arange(1 - self.length, 1, dtype=np.int64)

    def take(self, rows: IntArray) -> Windows:
        """Only these rows."""
        return Windows(self.values[rows], self.ends[rows], self.age[rows], self.rows[rows], self.step)
