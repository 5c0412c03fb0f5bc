"""The pasts of many origins side by side, in units of the load: of one series' positions, or of many series' ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["Pasts", "Rows", "Stack", "Window", "filled", "in_units", "lead"]

_FILL = 15  # minutes through which a missing sample takes the last known one
_HIGHEST = 2.0**20  # loads above so many times the unit are cut

#: The oldest and the newest sample of a window, both included, in steps before the origin; below 0 is after it.
Window = tuple[int, int]


class Pasts(Protocol):
    """The pasts of N origins."""

    step: int

    @property
    def times(self) -> IntArray:
        """Epoch seconds of the origins; shape (N,)."""
        ...

    def take(self, windows: Sequence[Window]) -> FloatArray:
        """Loads in units in these windows, one beside the other; NaN where unknown, and after the origin.

        Short gaps are filled from what lies before them in the window: its first `lead` samples may lack that.
        Shape (N, sum of the windows' widths), the oldest of each window first.
        """
        ...


class Rows:
    """Positions of one series as `Pasts`.

    Args:
        loads: In units, short gaps filled; shape (n,).
        start: Time of the first of them, epoch seconds.
        step: Seconds between them.
        origins: Positions; shape (N,).
        seen: How many samples of its past each origin is shown; None: all. Shape (N,).
    """

    def __init__(
        self, loads: FloatArray, start: int, step: int, origins: IntArray, *, seen: IntArray | None = None
    ) -> None:
        self.step = step
        self._loads, self._start, self._origins, self._seen = loads, start, origins, seen

    @classmethod
    def of(cls, series: TimeSeries, origins: IntArray, unit: float, *, seen: IntArray | None = None) -> Rows:
        """Positions of this series, its loads divided by `unit`."""
        return cls(in_units(series.values, unit, series.step), series.start, series.step, origins, seen=seen)

    @property
    def times(self) -> IntArray:
        """See `Pasts.times`."""
        return self._start + self.step * self._origins

    def at(self, some: slice) -> Rows:
        """Some of the origins."""
        seen = None if self._seen is None else self._seen[some]
        return Rows(self._loads, self._start, self.step, self._origins[some], seen=seen)

    def take(self, windows: Sequence[Window]) -> FloatArray:
        """See `Pasts.take`."""
        out = _gathered([self._loads] * len(self._origins), self._origins.tolist(), windows)
        if self._seen is not None:
            out[_ages(windows) >= self._seen[:, None]] = np.nan
        return out


class Stack:
    """The ends of many series as `Pasts`: an origin each.

    Args:
        series: On one grid; the origins are their last samples.
        units: Loads are divided by them; one for each series.
    """

    def __init__(self, series: Sequence[TimeSeries], units: Sequence[float]) -> None:
        self.step = series[0].step
        self.times: IntArray = np.array([one.end for one in series], dtype=np.int64)
        self._units = np.array(units)[:, None]
        self._loads = [one.values for one in series]

    def take(self, windows: Sequence[Window]) -> FloatArray:
        """See `Pasts.take`."""
        # what is not looked at is not even read: of two weeks, that is most
        out = _gathered(self._loads, [len(seen) - 1 for seen in self._loads], windows)
        # nothing comes from a window, or a row, before: its end lies further back than gaps are filled
        out = filled(out.reshape(-1), self.step).reshape(out.shape)
        if min(newest for _, newest in windows) < 0:
            out[:, _ages(windows) < 0] = np.nan
        with np.errstate(over="ignore", under="ignore"):
            out /= self._units
        return _bounded(out)


def _ages(windows: Sequence[Window]) -> IntArray:
    """How many steps before the origin each column lies."""
    return np.concatenate([np.arange(oldest, newest - 1, -1) for oldest, newest in windows])


def _gathered(sources: Sequence[FloatArray], origins: Sequence[int], windows: Sequence[Window]) -> FloatArray:
    """Each source's windows before its origin side by side, as they are; shape (N, sum of widths)."""
    places, end = [], 0
    for oldest, newest in windows:
        begin, end = end, end + oldest - newest + 1
        places.append((begin, end, oldest, newest))
    out = np.empty((len(sources), end))
    furthest, nearest = max(oldest for oldest, _ in windows), min(newest for _, newest in windows)
    for row, source, origin in zip(out, sources, origins, strict=True):
        if origin >= furthest and nearest >= 0:  # nearly always, and a batch is mostly this
            for begin, end, oldest, newest in places:
                row[begin:end] = source[origin - oldest : origin - newest + 1]
            continue
        row[:] = np.nan
        for begin, end, oldest, newest in places:
            part = source[max(0, origin - oldest) : max(0, origin - max(0, newest) + 1)]
            lead = min(end - begin, max(0, oldest - origin))
            row[begin + lead : begin + lead + part.size] = part
    return out


def in_units(values: FloatArray, unit: float, step: int) -> FloatArray:
    """Loads in units with short gaps filled, none negative, none absurd."""
    with np.errstate(over="ignore", under="ignore"):
        loads = filled(values, step) / unit
    return _bounded(loads)


def _bounded(loads: FloatArray) -> FloatArray:
    return np.minimum(np.maximum(loads, 0.0, out=loads), _HIGHEST, out=loads)


def lead(step: int) -> int:
    """Through how many samples a gap takes the last known one."""
    return max(1, round(_FILL * 60 / step))


def filled(values: FloatArray, step: int) -> FloatArray:
    """Short gaps take the last known value; the same array where there are none."""
    gaps = np.flatnonzero(np.isnan(values))
    if not gaps.size:
        return values
    begins = np.concatenate([[True], gaps[1:] - gaps[:-1] > 1])
    last = gaps[begins][np.cumsum(begins) - 1] - 1
    near = (last >= 0) & (gaps - last <= lead(step))
    out = values.copy()
    out[gaps[near]] = values[last[near]]
    return out
