"""Lasting changes of level: a customer comes, a part of the load moves to another cluster.

They are found newest first, as in binary segmentation (Scott and Knott, "A cluster analysis method for grouping means
in the analysis of variance", Biometrics 30, 1974), in logarithms of load beside the same clock times before. What
differs from the textbook's, and from exact searches such as PELT (Killick, Fearnhead and Eckley, "Optimal detection of
changepoints with a linear computational cost", JASA 107, 2012): levels are medians (Tukey, "Exploratory data analysis",
1977), and no noise is assumed to tell what is significant. For eight hours the load must be beyond *each* of the seven
days before at these clock times, twice as far as any of these was beyond the others. Weekends are among the seven,
holidays are like them, and what is bursty was so within the week. Compared with its weekday, the change must have
lasted until now. It began where a cumulative sum is highest (Hinkley, "Inference about the change-point in a sequence
of random variables", Biometrika 57, 1970).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecasting.prepare.scale import in_units, unit_of
from forecasting.series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray

__all__ = ["Shift", "find_shifts", "levelled"]

_BIN, _DAY, _DAYS = 1800, 86400, 7
# Until a change has lasted so long it may be a burst or an outage.
_LEAST_SECONDS = 8 * 3600
# What is smaller a method's own level follows; what is larger is a start or an end of work, not a change of its level.
_LEAST, _MOST = math.log(1.4), math.log(20.0)
# So many times as far beyond the seven days as any of these was beyond the others.
_UNHEARD_OF = 2.0
# Below this share of what is usual a load is idle, and no multiple of anything.
_IDLE = 0.05
# Two hours are still at the new level if they are so by half of the change; so many of those since then must be.
_BLOCK_SECONDS, _STILL, _BLOCKS_STILL = 7200, 0.5, 0.8
# How far the day before had strayed from its weekday counts so much: growth goes on, days differ. More is news.
_STRAYED, _NEWS = 2 / 3, math.log(2.0)
_KNOWN = 0.75
_LIMIT = 3
# Runs of hours looked at, the newest: bounds the cost.
_RUNS = 12
_LARGEST = np.finfo(np.float64).max / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A lasting change of level.

    Attributes:
        at: Time of the first sample at the new level, epoch seconds.
        factor: The new level over the old one.
    """

    at: int
    factor: float


def find_shifts(series: TimeSeries) -> tuple[Shift, ...]:
    """The lasting changes of level, newest first, three at most.

    Args:
        series: History; may hold NaN. A change is found from eight hours after it on, and with eight days before it.
    """
    width = _width(series.step)
    if not width or len(series) * series.step < (_DAYS + 1) * _DAY + _LEAST_SECONDS:
        return ()
    begin = len(series) % width
    values = in_units(series, unit_of(series.values)).values
    logs = _logs(_middles(values[begin:].reshape(-1, width), 0.5))
    day = _DAY // (series.step * width)
    found: list[Shift] = []
    while len(found) < _LIMIT and (best := _newest(logs, day)) is not None:
        at, size = best
        logs[:at] += size
        sample = _sharpened(values, begin + at * width, size, width, _DAYS * _DAY // series.step)
        found.append(Shift(at=series.start + series.step * sample, factor=math.exp(size)))
    # at one level up to the newest, others may show that are newer still
    return tuple(sorted(found, key=lambda shift: -shift.at))


def levelled(series: TimeSeries, shifts: Sequence[Shift]) -> TimeSeries:
    """The series as it would have been at today's level all along; its covariates are as they were."""
    values, times = series.values, series.times()
    for shift in shifts:
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.clip(values * shift.factor, -_LARGEST, _LARGEST)
        values = np.where(times < shift.at, scaled, values)
    return TimeSeries(series.start, series.step, values, series.covariates)


def _width(step: int) -> int:
    """Samples in a bin: half an hour, or the most below it that divide a day; 0 if there are none."""
    return next((width for width in range(max(1, _BIN // step), 0, -1) if _DAY % (width * step) == 0), 0)


def _middles(rows: FloatArray, known: float = _KNOWN) -> FloatArray:
    """Medians of the known along the last axis, NaN where fewer than this share are."""
    ordered, length = np.sort(rows, axis=-1), rows.shape[-1]  # NaN comes last
    count = length - np.isnan(rows).sum(axis=-1, keepdims=True)
    last = np.maximum(count, 1)
    low, high = (np.take_along_axis(ordered, at, axis=-1) for at in ((last - 1) // 2, last // 2))
    return np.where(count >= max(1.0, known * length), low / 2 + high / 2, np.nan)[..., 0]


def _logs(levels: FloatArray) -> FloatArray:
    """Logarithms over what is usual, NaN where the load is idle or unknown."""
    busy = levels[levels > 0]  # NaN is not
    out = np.full(levels.shape, np.nan)
    if busy.size:
        share = levels / _middles(busy)
        np.log(share, out=out, where=share > _IDLE)
    return out


def _newest(logs: FloatArray, day: int) -> tuple[int, float] | None:
    """The newest change: its bin, and the logarithm of its size."""
    span, first = _LEAST_SECONDS * day // _DAY or 1, _DAYS * day
    if logs.size < first + span:
        return None
    before = np.stack([logs[first - back * day : logs.size - back * day] for back in range(1, _DAYS + 1)])
    found = []
    for sign in (1.0, -1.0):
        past = np.sort(np.where(np.isnan(before), -np.inf, sign * before), axis=0)
        known = np.isfinite(past[_DAYS // 2])  # most of the days are
        beyond = np.where(known, sign * logs[first:] - past[-1], np.nan)
        over = np.nan_to_num(_middles(np.lib.stride_tricks.sliding_window_view(beyond, span)), nan=-np.inf)
        for at in _best_of_runs(over):
            window = slice(at, at + span)
            others = np.where(sign * before[:, window] == past[-1, window], past[-2, window], past[-1, window])
            usual = _middles(np.where(np.isfinite(others), sign * before[:, window] - others, np.nan))
            if over[at] < _UNHEARD_OF * np.fmax.reduce(usual, initial=0.0):
                continue
            change = _change(sign * logs, first + at, span, day)
            if change is not None:
                found.append((change[0], sign * change[1]))
                break
    return max(found, default=None)


def _best_of_runs(over: FloatArray) -> list[int]:
    """Where each run of windows that are far beyond is farthest; the newest run first."""
    edges = np.diff(np.concatenate([[False], over >= _LEAST, [False]]).astype(np.int8))
    runs = list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True))[::-1]
    return [int(begin + np.argmax(over[begin:end])) for begin, end in runs[:_RUNS]]


def _change(logs: FloatArray, at: int, span: int, day: int) -> tuple[int, float] | None:
    """The begin and the size of a rise around a window that is far beyond the days before it, if it has lasted."""
    week = _DAYS * day
    rise = np.concatenate([np.full(week, np.nan), logs[week:] - logs[:-week]])
    begin = low = at
    while begin == low and low > max(at - week + day, week):  # it may have begun still earlier
        low = max(low - day, week)
        begin = low + _begin(rise[low : at + span] - _strayed(rise, low, day), span)
    strayed = _strayed(rise, begin, day)
    size = float(_middles(rise[begin : begin + day], 0.5)) - strayed
    if not _LEAST <= size <= _MOST or not week + day <= begin <= logs.size - span:
        return None
    since = np.arange(begin, logs.size)
    rises = logs[since] - logs[since - ((since - begin) // week + 1) * week] - strayed
    block = max(1, _BLOCK_SECONDS * day // _DAY)
    blocks = _middles(rises[rises.size % block :].reshape(-1, block), 0.5)
    still = np.where(np.isnan(blocks), True, blocks >= _STILL * size)  # noqa: FBT003  # what is unknown refutes nothing
    return (begin, size) if still.mean() >= _BLOCKS_STILL and still[-2:].all() else None


def _begin(rise: FloatArray, span: int) -> int:
    """Where those begin that are nearer to the last ones' middle than to none."""
    excess = np.nan_to_num(rise - _middles(rise[-span:]) / 2)
    return int(np.argmax(np.cumsum(excess[::-1])[::-1]))


def _strayed(rise: FloatArray, at: int, day: int) -> float:
    """By how much the day before was off its weekday, as far as that goes on; 0 if unknown, or if it is news."""
    strayed = float(_middles(rise[max(0, at - day) : at]))
    return _STRAYED * strayed if abs(strayed) < _NEWS else 0.0


def _sharpened(values: FloatArray, at: int, size: float, width: int, week: int) -> int:
    """The sample at which a change begins that was found to begin with a bin: in that or in one beside it."""
    low, high = max(at - width, week), min(at + 2 * width, values.size)
    now, then = values[low:high], values[low - week : high - week]
    known = (now > 0) & (then > 0)
    rise = np.log(np.where(known, now, 1.0)) - np.log(np.where(known, then, 1.0))
    excess = np.where(known, math.copysign(1.0, size) * rise - abs(size) / 2, 0.0)
    return low + int(np.argmax(np.cumsum(excess[::-1])[::-1]))
