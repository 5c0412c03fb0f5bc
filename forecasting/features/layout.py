"""Where the parts of what a recurrent network is shown lie on a grid: former days, the last day and its bins.

`forecasting.features.sequence` fills them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from forecasting.features.pasts import lead

if TYPE_CHECKING:
    from forecasting.features.pasts import Window
    from forecasting.series import FloatArray
    from forecasting.windows import IntArray

__all__ = ["BESIDE", "BIN_AGES", "DAYS", "HORIZON_MINUTES", "Layout", "layout_of"]

# Horizons that the network is trained at; further ones are told as the furthest.
HORIZON_MINUTES = 60
_LEVEL = 15  # minutes whose mean is the level, 3 samples at least
DAYS = (1, 2, 3, 4, 5, 6, 7, 14)
BESIDE = (1, 7)  # days before, whose bins stand beside the last day's
_AROUND = 15  # minutes: a job may come so much earlier or later
_LATELY = (60, 360)  # minutes
# Widths of bins in minutes, and how many of each: 24 hours in all, the oldest first.
_BINS = ((120, 6), (60, 6), (30, 6), (15, 6), (5, 12), (2, 10), (1, 10))
#: Where bins begin and end, minutes before the origin; shape (T + 1,).
BIN_AGES = 1440.0 - np.concatenate([[0], np.cumsum(np.repeat(*np.array(_BINS).T))])


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where everything lies on a grid of `step` seconds.

    Former days' windows come first, then the last day with what comes before it, then the days that stand beside it
    and one sample more, where their last bin ends.
    """

    day: int
    level: int
    around: int
    near: int
    stride: int
    horizons: IntArray
    windows: tuple[Window, ...]
    width: int  # of a former day's window
    before: int  # of its samples come before the origin's time of day
    first: int  # column of the last day's window
    last: int  # column of the origin
    bins: IntArray  # (1 + beside, T, 2): first column and last + 1
    widths: FloatArray  # of bins, as the network is told
    lately: tuple[int, ...]  # of the strided moves
    ahead: FloatArray  # (4, A): which ask it is

    def ahead_of(self, level: FloatArray) -> FloatArray:
        """Which ask it is, for as many origins; shape (4, N, A)."""
        return np.broadcast_to(self.ahead[:, None], (4, len(level), self.ahead.shape[1]))


@lru_cache(maxsize=64)
def layout_of(step: int, horizons: tuple[int, ...]) -> Layout:
    """The layout for samples so many seconds apart, of what is asked about so many steps ahead."""
    day, longest = max(1, 86400 // step), max(horizons)
    level, around, stride = max(3, _steps(_LEVEL, step)), _steps(_AROUND, step), _steps(5, step)
    before = max(level - 1, around)
    before += lead(step)  # every window begins with what its first gap is filled from
    width, recent = before + 1 + longest + around, lead(step) + day + level + longest
    first = len(DAYS) * width
    last = first + recent
    each = lead(step) + day
    beside = [(days * day + each - 1, days * day) for days in BESIDE]
    beside[-1] = (beside[-1][0], beside[-1][1] - 1)
    bins = last + 1 - day + np.arange(1 + len(BESIDE))[:, None, None] * each + _bins(step, day)
    return Layout(
        day=day,
        level=level,
        around=around,
        near=_steps(5, step),
        stride=stride,
        horizons=np.array(horizons),
        windows=(*((d * day + before, d * day - longest - around) for d in DAYS), (recent, 0), *beside),
        width=width,
        before=before,
        first=first,
        last=last,
        bins=bins,
        widths=np.log(np.repeat(*np.array(_BINS).T)) / math.log(120),
        lately=tuple(max(1, _steps(minutes, step) // stride) for minutes in _LATELY),
        ahead=_ahead(np.array(horizons) * step / 60),
    )


def _bins(step: int, day: int) -> IntArray:
    """First and last + 1 sample of each bin, counted from a day before the origin; shape (T, 2)."""
    ages, age = [], 1440
    for width, count in _BINS:
        for _ in range(count):
            # a bin holds the samples whose steps it overlaps: one at least, however long the step
            newest = min(day - 1, (age - width) * 60 // step)
            oldest = min(day, max(newest + 1, math.ceil(age * 60 / step)))
            ages.append((day - oldest, day - newest))
            age -= width
    return np.array(ages, dtype=np.int64)


def _ahead(minutes: FloatArray) -> FloatArray:
    """Which ask it is; shape (4, A)."""
    log = np.log(np.minimum(minutes, HORIZON_MINUTES)) / math.log(HORIZON_MINUTES)
    none, ones = np.zeros_like(log), np.ones_like(log)
    return np.concatenate([[none, log, none, log**2], [ones, none, log, log**2]], axis=1)


def _steps(minutes: float, step: int) -> int:
    return max(1, round(minutes * 60 / step))
