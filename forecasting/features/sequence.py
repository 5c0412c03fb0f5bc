"""What a recurrent network is shown of a series: the last day from coarse to fine, and the same minutes of former days.

Three inputs, all free of the load's unit and of the grid's step, so that one network serves every series:

- *tokens*, a sequence: the last day cut into bins, two hours wide at its far end and a minute at its near one, each
  beside the same bins one and seven days earlier;
- *asks*, for each horizon and for value and peak: what came after this time of day on former days, and how far loads
  moved within such a horizon lately. The future's season is known, so this goes in beside the horizon (Wen et al.,
  "A multi-horizon quantile recurrent forecaster", 2017);
- *statics*: the clock, the level, and how much history there is.

Log-ratios are to the *level*, the mean of the last quarter of an hour, and in units of the *spread*, how far such
log-ratios moved lately. What is not known is 0, and a mask says so: a first day is no error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from forecasting.features.seen import FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forecasting.features.rolling import Float32Array
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

_Float = TypeVar("_Float", bound=np.floating[Any])

__all__ = [
    "ASKS",
    "FILL",
    "HORIZON_MINUTES",
    "STATICS",
    "TOKENS",
    "Inputs",
    "Pasts",
    "Rows",
    "Stack",
    "filled",
    "in_units",
    "inputs",
    "reach",
]

# Horizons that the network is trained at; further ones are told as the furthest.
HORIZON_MINUTES = 60
FILL = 15  # minutes through which a missing sample takes the last known one
_HIGHEST = 2.0**20  # loads above so many times the unit are cut
_LEVEL = 15  # minutes whose mean is the level, 3 samples at least
_DAYS = (1, 2, 3, 4, 5, 6, 7, 14)
_BESIDE = (1, 7)  # days before, whose bins stand beside the last day's
_AROUND = 15  # minutes: a job may come so much earlier or later
_LATELY = (60, 360)  # minutes
# Widths of bins in minutes, and how many of each: 24 hours in all, the oldest first.
_BINS = ((120, 6), (60, 6), (30, 6), (15, 6), (5, 12), (2, 10), (1, 10))
# A series that has shown no moves yet is taken to move like this, with the weight of so many samples.
_USUAL_MOVE, _USUAL_COUNT = 0.25, 6.0
_CUT = 12.0  # spreads
_FEW = 4  # origins: picked one by one

#: Shapes of the inputs: tokens (T, F), features of an ask, features of the origin.
TOKENS = (sum(count for _, count in _BINS), 4 + 2 * len(_BESIDE) + 1)
ASKS = 27
STATICS = 12 + len(_DAYS)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What the network is shown for N origins and A asks: the values at some horizons, then the peaks up to them.

    Attributes:
        tokens: Shape (N, T, F).
        asks: Shape (N, A, ASKS).
        statics: Shape (N, STATICS).
        level: Log of the level in units, NaN where the recent past is unknown; shape (N,).
        spread: How far log-ratios moved within the horizon lately, positive; shape (N, A).
    """

    tokens: Float32Array
    asks: Float32Array
    statics: Float32Array
    level: FloatArray
    spread: FloatArray


class Pasts(Protocol):
    """The pasts of N origins."""

    step: int

    @property
    def times(self) -> IntArray:
        """Epoch seconds of the origins; shape (N,)."""
        ...

    def take(self, oldest: int, newest: int) -> FloatArray:
        """Loads in units from `oldest` to `newest` steps before each origin, both included; NaN where unknown.

        Shape (N, oldest - newest + 1), the oldest first.
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

    def take(self, oldest: int, newest: int) -> FloatArray:
        """See `Pasts.take`."""
        width = oldest - newest + 1
        first = self._origins - oldest
        if len(first) <= _FEW:
            found = _parts([self._loads] * len(first), first.tolist(), width)
        else:
            lead = max(0, -int(first.min()))
            padded = np.concatenate([np.full(lead, np.nan), self._loads]) if lead else self._loads
            found = np.lib.stride_tricks.sliding_window_view(padded, width)[first + lead]
        if self._seen is not None:
            found[np.arange(oldest, newest - 1, -1) >= self._seen[:, None]] = np.nan
        return np.asarray(found)


class Stack:
    """The ends of many series as `Pasts`: an origin each.

    Args:
        series: On one grid; the origins are their last samples.
        units: Loads are divided by them; one for each series.
    """

    def __init__(self, series: Sequence[TimeSeries], units: Sequence[float]) -> None:
        self.step = series[0].step
        self.times: IntArray = np.array([one.end for one in series], dtype=np.int64)
        width = reach(self.step)
        self._units = np.array(units)[:, None]
        # what is not looked at is neither copied nor divided
        self._ends = [filled(one.values[-width:], self.step) for one in series]

    def take(self, oldest: int, newest: int) -> FloatArray:
        """See `Pasts.take`."""
        out = _parts(self._ends, [len(seen) - 1 - oldest for seen in self._ends], oldest - newest + 1)
        with np.errstate(over="ignore", under="ignore"):
            out /= self._units
        return np.minimum(np.maximum(out, 0.0, out=out), _HIGHEST, out=out)


def _parts(sources: Sequence[FloatArray], firsts: Sequence[int], width: int) -> FloatArray:
    """So many samples of each source from a position on, NaN before its first; shape (N, width)."""
    out = np.empty((len(sources), width))
    for row, source, first in zip(out, sources, firsts, strict=True):
        part = source[max(0, first) : max(0, first + width)]
        unknown = width - part.size
        row[unknown:] = part
        if unknown:
            row[:unknown] = np.nan
    return out


def in_units(values: FloatArray, unit: float, step: int) -> FloatArray:
    """Loads in units with short gaps filled, none negative, none absurd."""
    with np.errstate(over="ignore", under="ignore"):
        loads = filled(values, step) / unit
    return np.minimum(np.maximum(loads, 0.0, out=loads), _HIGHEST, out=loads)


def filled(values: FloatArray, step: int) -> FloatArray:
    """Short gaps take the last known value; the same array where there are none."""
    if not np.isnan(values.sum()):  # one pass, where all is known
        return values
    gaps = np.flatnonzero(np.isnan(values))
    begins = np.diff(gaps, prepend=-2) > 1
    last = gaps[begins][np.cumsum(begins) - 1] - 1
    near = (last >= 0) & (gaps - last <= _steps(FILL, step))
    out = values.copy()
    out[gaps[near]] = values[last[near]]
    return out


def reach(step: int) -> int:
    """How many samples back the inputs look, for horizons up to a day: two weeks and a little."""
    layout = _layout(step)
    return _DAYS[-1] * layout.day + layout.level + layout.around + _steps(FILL, step) + 2


def inputs(pasts: Pasts, horizons: Sequence[int]) -> Inputs:
    """What the network is shown.

    Args:
        pasts: Where the origins are and what came before each.
        horizons: Steps, 1 or more, increasing; the asks are the values at them, then the peaks up to them.
    """
    layout = _layout(pasts.step)
    recent = pasts.take(layout.day + layout.level + max(horizons), 0)
    level = _log_mean(recent[:, -layout.level :]).astype(np.float64)
    lately = _lately(recent, layout, horizons)
    days = _of_days(pasts, layout, horizons)
    spread = _spread(lately[0], days[:, 0] - days[:, 3])
    now = level[:, None]
    asks = np.concatenate([_seasonal(days, now, spread), _moves(lately, spread)], axis=2)
    asks = np.concatenate([asks, _ahead(horizons, pasts.step, len(level)), np.log(spread)[:, :, None]], axis=2)
    known = ~np.isnan(days[:, 0, :, 0]).T
    wide = spread[:, len(horizons) - 1]
    return Inputs(
        tokens=_tokens(pasts, layout, recent, now, wide),
        asks=_clean(asks),
        statics=_clean(np.concatenate([_clock(pasts, now, wide), known], axis=1)),
        level=level,
        spread=spread,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Where everything lies on a grid of `step` seconds."""

    step: int
    day: int
    level: int
    around: int
    near: int
    stride: int
    bins: IntArray  # (T, 2): first and last + 1, counted from a day before the origin
    widths: FloatArray


@lru_cache(maxsize=32)
def _layout(step: int) -> _Layout:
    day = max(1, 86400 // step)
    ages, widths, age = [], [], 1440
    for width, count in _BINS:
        for _ in range(count):
            # a bin holds the samples whose steps it overlaps: one at least, however long the step
            newest = min(day - 1, (age - width) * 60 // step)
            oldest = min(day, max(newest + 1, math.ceil(age * 60 / step)))
            ages.append((day - oldest, day - newest))
            widths.append(float(width))
            age -= width
    return _Layout(
        step=step,
        day=day,
        level=max(3, _steps(_LEVEL, step)),
        around=_steps(_AROUND, step),
        near=_steps(5, step),
        stride=_steps(5, step),
        bins=np.array(ages, dtype=np.int64),
        widths=np.array(widths),
    )


def _steps(minutes: float, step: int) -> int:
    return max(1, round(minutes * 60 / step))


def _log(loads: FloatArray) -> Float32Array:
    """In single precision, ten times as fast and more than the features need."""
    return np.asarray(np.log((loads + FLOOR).astype(np.float32)))


def _sums(loads: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cumulative sum and count of what is known, a column longer."""
    missing = np.isnan(loads)
    total = np.zeros((len(loads), loads.shape[1] + 1))
    if not missing.any():
        np.cumsum(loads, axis=1, out=total[:, 1:])
        return total, np.broadcast_to(np.arange(float(total.shape[1])), total.shape)
    count = np.zeros_like(total)
    np.cumsum(np.where(missing, 0.0, loads), axis=1, out=total[:, 1:])
    np.cumsum(~missing, axis=1, out=count[:, 1:])
    return total, count


def _ratio(total: FloatArray, count: FloatArray | IntArray) -> FloatArray:
    return np.asarray(total / np.where(count > 0, count, np.nan))


def _log_mean(loads: FloatArray) -> Float32Array:
    total, count = _sums(loads)
    return _log(_ratio(np.maximum(total[:, -1], 0.0), count[:, -1]))


def _rolling_highest(log: Float32Array, wanted: Sequence[int]) -> dict[int, Float32Array]:
    """Maximum of the latest w samples at every column, for each w; -inf where all are unknown."""
    highest, width, out = np.where(np.isnan(log), np.float32(-np.inf), log), 1, {}
    for w in sorted(wanted):
        while width < w:
            by = min(width, w - width)
            longer = np.empty_like(highest)
            longer[:, :by] = highest[:, :by]
            np.maximum(highest[:, by:], highest[:, :-by], out=longer[:, by:])
            highest, width = longer, width + by
        out[w] = highest
    return out


def _known(highest: NDArray[_Float]) -> NDArray[_Float]:
    return np.where(np.isneginf(highest), highest.dtype.type(np.nan), highest)


def _lately(recent: FloatArray, layout: _Layout, horizons: Sequence[int]) -> FloatArray:
    """How log-loads moved from positions of the last day, for each ask.

    Returns:
        Mean square over the day and, for each of _LATELY, mean square, mean and maximum; shape (7, N, A). NaN where
        nothing is known.
    """
    total, count = _sums(recent)
    width, last = layout.level, recent.shape[1] - 1
    mean = _ratio(np.maximum(total[:, width:] - total[:, :-width], 0.0), count[:, width:] - count[:, :-width])
    log = _log(recent)
    highest = _rolling_highest(log, horizons)
    # the latest moves whose outcome is known: they end now, some minutes ago, ...
    back = slice(last, last - layout.day, -layout.stride)
    ended = log[:, back]
    moves = np.empty((len(recent), 2, len(horizons), ended.shape[1]), dtype=np.float32)
    for i, horizon in enumerate(horizons):
        begin = last - horizon - width + 1
        level = _log(mean[:, begin : begin - layout.day : -layout.stride])
        np.subtract(ended, level, out=moves[:, 0, i])
        np.subtract(highest[horizon][:, back], level, out=moves[:, 1, i])
    return _summed(moves.reshape(len(recent), -1, ended.shape[1]), layout)


def _summed(moves: Float32Array, layout: _Layout) -> FloatArray:
    """What `_lately` tells of the moves, the latest first; shape (7, N, A)."""
    known = np.isfinite(moves)
    unknown = None if known.all() else ~known
    if unknown is not None:
        moves[unknown] = 0.0
    squares = np.square(moves)
    out = [_ratio(squares.sum(axis=2), known.sum(axis=2))]
    for minutes in _LATELY:
        some = slice(0, max(1, _steps(minutes, layout.step) // layout.stride))
        held, seen = known[..., some].sum(axis=2), moves[..., some]
        total = seen.sum(axis=2)
        if unknown is not None:
            seen = np.where(unknown[..., some], np.float32(-np.inf), seen)
        out += [_ratio(squares[..., some].sum(axis=2), held), _ratio(total, held), _known(seen.max(axis=2))]
    return np.stack(out)


def _of_days(pasts: Pasts, layout: _Layout, horizons: Sequence[int]) -> FloatArray:
    """What came after the same time on former days.

    Returns:
        For each ask: what came, its mean around then, the highest around then, and the level then; shape
        (days, 4, N, A).
    """
    longest, around, near = max(horizons), layout.around, layout.near
    before = max(layout.level - 1, around)
    loads = np.concatenate([
        _ending(pasts, day * layout.day + before, day * layout.day - longest - around) for day in _DAYS
    ])  # fmt: skip
    log = _log(loads)
    total, count = _sums(loads)

    def mean(low: IntArray, high: IntArray) -> Float32Array:
        return _log(_ratio(np.maximum(total[:, high] - total[:, low], 0.0), count[:, high] - count[:, low]))

    begin, then = before + 1, before + np.array(horizons)
    level = mean(np.array([begin - layout.level]), np.array([begin]))
    filled = np.where(np.isnan(log), np.float32(-np.inf), log)
    peak = np.maximum.accumulate(filled[:, begin:], axis=1)
    wide = np.maximum.accumulate(filled[:, begin - around :], axis=1)
    about = _rolling_highest(log, (2 * around + 1,))[2 * around + 1]
    half = len(horizons)
    out = np.empty((len(loads), 4, 2 * half))
    out[:, 0, :half], out[:, 0, half:] = log[:, then], _known(peak[:, then - begin])
    out[:, 1, :half] = mean(then - near, then + near + 1)
    out[:, 1, half:] = mean(np.full(half, begin), then + 1)
    out[:, 2, :half] = _known(about[:, then + around])
    out[:, 2, half:] = _known(wide[:, then - begin + 2 * around])
    out[:, 3] = level
    return out.reshape(len(_DAYS), -1, 4, 2 * half).swapaxes(1, 2)


def _ending(pasts: Pasts, oldest: int, newest: int) -> FloatArray:
    """As `Pasts.take`, but what lies after the origin is unknown, not an error."""
    if newest >= 0:
        return pasts.take(oldest, newest)
    seen = pasts.take(oldest, 0)
    return np.concatenate([seen, np.full((len(seen), -newest), np.nan)], axis=1)


def _spread(mean_square: FloatArray, ramps: FloatArray) -> FloatArray:
    """Root mean square of moves: of the last day's, and of those from the same time of former days; shape (N, A)."""
    missing = np.isnan(ramps)
    total, count = np.square(np.where(missing, 0.0, ramps)).sum(axis=0), (~missing).sum(axis=0)
    usual = _USUAL_MOVE**2
    day = np.where(np.isnan(mean_square), usual, (48 * mean_square + _USUAL_COUNT * usual) / (48 + _USUAL_COUNT))
    clock = (total + 2 * day) / (count + 2)
    return np.asarray(np.sqrt((day + clock) / 2) + 0.01)


def _seasonal(days: FloatArray, level: FloatArray, spread: FloatArray) -> FloatArray:
    """Former days in units of the spread; shape (N, A, 15). `days`: (days, 4, N, A)."""
    came, mean, widest, then = (days[:, i] for i in range(4))
    ramps, steady, wide = ((x - then) / spread for x in (came, mean, widest))
    against = (came - level) / spread
    week = slice(0, 7)
    parts = [ramps[0], ramps[6], _mean(ramps), _highest(ramps), _mean(steady), _mean(wide), _highest(wide[week])]
    parts += [_mean(ramps[:3]), against[0], against[6], _mean(against), _highest(against), -_highest(-against)]
    parts += [steady[0] + (then[0] - level) / spread, _deviation(ramps)]
    return np.stack(parts, axis=2)


def _moves(lately: FloatArray, spread: FloatArray) -> FloatArray:
    """The last hour's and the last six hours' moves in units of the spread; shape (N, A, 7)."""
    squares = (0, 1, 4)
    return np.stack([(np.sqrt(x) if i in squares else x) / spread for i, x in enumerate(lately)], axis=2)


def _ahead(horizons: Sequence[int], step: int, n: int) -> FloatArray:
    """Which ask it is; shape (N, A, 4)."""
    log = np.log(np.minimum(np.array(horizons) * step / 60, HORIZON_MINUTES)) / math.log(HORIZON_MINUTES)
    none, ones = np.zeros_like(log), np.ones_like(log)
    value, peak = np.stack([none, log, none, log**2], axis=1), np.stack([ones, none, log, log**2], axis=1)
    return np.broadcast_to(np.concatenate([value, peak]), (n, 2 * len(log), 4))


def _tokens(pasts: Pasts, layout: _Layout, recent: FloatArray, level: FloatArray, spread: FloatArray) -> Float32Array:
    """The sequence: for each bin mean, highest and lowest, whether known, the same bin of other days, its width."""
    out = np.zeros((len(recent), *TOKENS))
    unit = spread[:, None]
    n, day = len(recent), layout.day
    beside = [pasts.take(days * day + day - 1, days * day) for days in _BESIDE]
    parts = _binned(np.concatenate([recent[:, -day:], *beside]), layout)
    mean, share, highest, lowest = (part.reshape(1 + len(_BESIDE), n, -1) for part in parts)
    for i, part in enumerate((mean[0], highest[0], lowest[0])):
        out[:, :, i] = (part - level) / unit
    out[:, :, 3] = share[0]
    for i in range(len(_BESIDE)):
        out[:, :, 4 + 2 * i] = (mean[1 + i] - level) / unit
        out[:, :, 5 + 2 * i] = share[1 + i]
    out[:, :, -1] = np.log(layout.widths) / math.log(120)
    return _clean(out)


def _binned(loads: FloatArray, layout: _Layout) -> tuple[Float32Array, FloatArray, Float32Array, Float32Array]:
    """Log of the mean, share known, log of the highest and of the lowest, of each bin; each (N, T)."""
    first, end = layout.bins.T
    ends = np.stack([first, end], axis=1).reshape(-1)
    missing = np.isnan(loads)
    held = np.broadcast_to((end - first).astype(np.float64), (len(loads), len(first)))
    filled = [np.concatenate([loads, np.zeros((len(loads), 1))], axis=1)] * 2
    if missing.any():
        filled = [np.where(np.isnan(filled[0]), nothing, filled[0]) for nothing in (0.0, np.inf)]
        known = np.concatenate([~missing, np.zeros((len(loads), 1), dtype=bool)], axis=1)
        held = np.add.reduceat(known, ends, axis=1, dtype=np.float64)[:, ::2]
    mean = _log(_ratio(np.add.reduceat(filled[0], ends, axis=1)[:, ::2], held))
    highest = np.maximum.reduceat(filled[0], ends, axis=1)[:, ::2]
    lowest = np.minimum.reduceat(filled[1], ends, axis=1)[:, ::2]
    unknown = held == 0
    return (
        mean,
        held / (end - first),
        np.where(unknown, np.float32(np.nan), _log(highest)),
        np.where(unknown, np.float32(np.nan), _log(np.where(np.isinf(lowest), 0.0, lowest))),
    )


def _clock(pasts: Pasts, level: FloatArray, spread: FloatArray) -> FloatArray:
    """Time of day, of the week and of the hour, the level, the spread and the step; shape (N, 12)."""
    seconds = pasts.times
    parts = []
    for period in (86400, 604800, 3600, 900):
        angle = 2 * math.pi * (seconds % period) / period
        parts += [np.sin(angle), np.cos(angle)]
    weekend = ((seconds // 86400 + 3) % 7 >= 5).astype(np.float64)
    step = np.full(len(seconds), math.log(pasts.step / 60) / 2)
    parts += [level[:, 0] / 3, weekend, np.log(spread), step]
    return np.stack(parts, axis=1)


def _clean(x: FloatArray) -> Float32Array:
    """Unknown as 0, extremes cut, in single precision."""
    return np.minimum(np.maximum(np.where(np.isnan(x), 0.0, x), -_CUT), _CUT).astype(np.float32)


def _mean(days: FloatArray) -> FloatArray:
    missing = np.isnan(days)
    return _ratio(np.where(missing, 0.0, days).sum(axis=0), (~missing).sum(axis=0).astype(np.float64))


def _highest(days: FloatArray) -> FloatArray:
    return _known(np.where(np.isnan(days), -np.inf, days).max(axis=0))


def _deviation(days: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.maximum(_mean(np.square(days)) - np.square(_mean(days)), 0.0)))
