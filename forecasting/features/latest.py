"""Features at the end of series: what a forecast from now takes, of one series or of several at once.

The same numbers as `forecasting.features.scalefree.Past` gives for the last position, without statistics of all the
others: only what the features of the last position look at is cut out of the past, and several series of one step are
rows of one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.features.seen import (
    COARSE,
    DAYS,
    FINE,
    LAGS,
    MAXIMA,
    MEANS,
    MINIMA,
    MOVES,
    NEAR,
    PERIODS_BACK,
    RECENT,
    SPREADS,
    WEEK,
    WIDE,
    Recent,
    Rows,
    Seasonal,
    level_steps,
    loads_of,
    log_mean,
    log_of,
    rows_of,
    steps_in,
)
from forecasting.prepare.calendar import local_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forecasting.features.rolling import Float32Array
    from forecasting.features.scalefree import Scale
    from forecasting.prepare.calendar import Holidays
    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import IntArray

__all__ = ["rows_at_end"]


def rows_at_end(
    series: Sequence[TimeSeries],
    scales: Sequence[Scale],
    horizons: Sequence[int],
    *,
    clocks: Sequence[tuple[str, Holidays]] = (),
) -> Rows:
    """Features at the end of each series, for the value at each horizon and then for the peak up to each.

    Args:
        series: S of one step, none of them empty.
        scales: Of each.
        horizons: In steps, increasing; H of them.
        clocks: The time zone whose clocks each load follows, and its days of rest; none: UTC, none.

    Returns:
        2 x H x S rows: for each kind, each horizon, each series.
    """
    step, ahead = series[0].step, tuple(horizons)
    table = _Table(series, scales, _places(step, ahead, max(len(one) for one in series)))
    periods = np.array([scale.period or steps_in(60, step) for scale in scales], dtype=np.int64)
    ends = np.array([one.end for one in series], dtype=np.int64)
    local, weekday = [ends], [ends]
    if clocks:
        local = [local_times(ends[row : row + 1], zone) for row, (zone, _) in enumerate(clocks)]
        weekday = [rest.moved(time) for time, (_, rest) in zip(local, clocks, strict=True)]
    return rows_of(
        table.recent(np.concatenate(local), np.concatenate(weekday)), table.seasonal(periods), np.array(ahead * 2), step
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Columns of a table, those outside of it marked; `at` is within it."""

    at: IntArray
    outside: NDArray[np.bool_] | None

    @classmethod
    def of(cls, columns: IntArray, size: int) -> _Columns:
        outside = (columns < 0) | (columns >= size)
        return cls(np.clip(columns, 0, size - 1), outside if outside.any() else None)

    def of_table(self, table: Float32Array) -> Float32Array:
        """What is there in each row, NaN outside; shape (rows, ...)."""
        found = table.take(self.at, axis=1)
        if self.outside is not None:
            found[:, self.outside] = np.nan
        return found


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Places:
    """Where to look, the same for all series: in columns of a table whose last is the end.

    Attributes:
        size: Columns: what lies before a series' start is NaN.
        step: Seconds.
        horizons: In steps, increasing; H.
        lags: At LAGS.
        days: The same time of day, DAYS days back.
        means: First columns of windows and those after the last: MEANS, those before and earlier, the level.
        course: What came around the same time of day: from `wide` - 1 before to `wide` + the last horizon after.
        levels: Windows of levels, as of `means`: around the same time of day, then the latest.
        wide: Steps around the same time of day.
        near: Steps close around it.
        latest: Steps of the longest of RECENT.
        every: 0 to `size`.
    """

    size: int
    step: int
    horizons: tuple[int, ...]
    lags: _Columns
    days: IntArray
    means: tuple[IntArray, IntArray]
    course: _Columns
    levels: tuple[IntArray, IntArray]
    wide: int
    near: int
    latest: int
    every: FloatArray


@lru_cache(maxsize=32)
def _places(step: int, horizons: tuple[int, ...], longest: int) -> _Places:
    latest, wide, near, day, hour = (steps_in(w, step) for w in (RECENT[-1], WIDE, NEAR, 1440, 60))
    farthest, level = horizons[-1], level_steps(step)
    size = max(longest, steps_in(MAXIMA[-1], step) + 1, latest + farthest + level)
    end = size - 1
    means = [steps_in(w, step) for w in MEANS]
    ends = [end] * len(means) + [end - means[0], end - means[1], end - day, end - WEEK * day, end]
    widths = [*means, means[0], means[1], hour, hour, level]
    days = (end - day * np.arange(1, DAYS + 1))[:, None]
    origins = np.concatenate([(days + np.arange(-wide, wide + 1)).ravel(), np.arange(size - latest - farthest, size)])
    return _Places(
        size=size,
        step=step,
        horizons=horizons,
        lags=_Columns.of(end - np.array(LAGS), size),
        days=days[:, 0],
        means=_windows(np.array(ends), np.array(widths), size),
        course=_Columns.of(days + np.arange(1 - wide, wide + 1 + farthest), size),
        levels=_windows(origins, level, size),
        wide=wide,
        near=near,
        latest=latest,
        every=np.arange(size + 1.0),
    )


def _windows(ends: IntArray, width: IntArray | int, size: int) -> tuple[IntArray, IntArray]:
    """First columns, and those after the last."""
    after = ends + 1
    return np.minimum(np.maximum(after - width, 0), size), np.minimum(np.maximum(after, 0), size)


class _Table:
    """Series as rows, all ending in the last column."""

    def __init__(self, series: Sequence[TimeSeries], scales: Sequence[Scale], places: _Places) -> None:
        self._places = places
        s, size = len(series), places.size
        load: Float32Array = np.full((s, size), np.nan, dtype=np.float32)
        for row, one, scale in zip(load, series, scales, strict=True):
            row[size - len(one) :] = loads_of(one, scale.unit)
        self._starts = np.array([size - len(one) for one in series])
        self._log = log_of(load)
        missing = np.isnan(load)
        fine = np.multiply(load, FINE, dtype=np.float64)
        np.rint(fine, out=fine)
        self._counts: FloatArray
        if missing.any():
            fine[missing] = 0.0
            self._counts = np.zeros((s, size + 1))
            np.cumsum(~missing, axis=1, out=self._counts[:, 1:])
        else:
            self._counts = np.broadcast_to(places.every, (s, size + 1))
        self._sums = np.zeros((s, size + 1))
        np.cumsum(fine, axis=1, out=self._sums[:, 1:])

    def recent(self, local: IntArray, weekday: IntArray) -> Recent:
        """What does not depend on the horizon; times as in `Recent`."""
        means, n = self._log_means(*self._places.means).T, len(MEANS)
        return Recent(
            level=means[-1],
            lags=self._places.lags.of_table(self._log).T,
            means=means[:n],
            earlier=means[n:-1],
            highest=_extremes(np.fmax, self._log, self._steps(MAXIMA)),
            lowest=_extremes(np.fmin, self._log, self._steps(MINIMA)),
            spreads=_sums(self._log, self._steps(SPREADS)),
            moves=_sums(np.abs(np.diff(self._log[:, -self._steps(MOVES)[-1] - 1 :])), self._steps(MOVES))[::2],
            local=local,
            weekday=weekday,
        )

    def seasonal(self, periods: IntArray) -> Seasonal:
        """What does.

        Args:
            periods: Of each series, in steps; shape (S,).
        """
        places, windows = self._places, self._steps(RECENT)
        wide, near, width = places.wide, places.near, 2 * places.wide + 1
        levels = self._log_means(*places.levels)
        latest = self._latest(levels[:, DAYS * width :])
        course = places.course.of_table(self._log)
        rolled = _rolled(course, places.horizons)
        ramps: Float32Array = np.empty((2 * len(rolled), *course.shape[:2], width), dtype=np.float32)
        for row, value, horizon, highest in zip(ramps, ramps[len(rolled) :], places.horizons, rolled, strict=False):
            row[:], value[:] = course[..., horizon - 1 : horizon - 1 + width], highest[..., :width]
        then = ramps[..., wide].copy()
        then[:, places.days < self._starts[:, None]] = np.nan  # nothing is known of an origin before the start
        ramps -= levels[:, : DAYS * width].reshape(-1, DAYS, width)
        close = np.fmax.reduce(ramps[:, :, :WEEK, wide - near : wide + near + 1], axis=-1)
        cycle, cycle_ramps = self._cycles(periods)
        return Seasonal(
            came=then.swapaxes(1, 2),
            ramps=ramps[..., wide].swapaxes(1, 2),
            around=_sums(ramps, (width,))[:, 0].swapaxes(2, 3),
            top=np.fmax.reduce(ramps, axis=-1).swapaxes(1, 2),
            close=close.swapaxes(1, 2),
            latest=_sums(latest, windows),
            highest=_extremes(np.fmax, latest, windows),
            cycle=cycle,
            cycle_ramps=cycle_ramps,
        )

    def _latest(self, levels: Float32Array) -> Float32Array:
        """Ramps that came true within the longest of RECENT; shape (A, S, steps)."""
        n, horizons = self._places.latest, self._places.horizons
        course = self._log[:, -(n - 1 + horizons[-1]) :]
        out: Float32Array = np.empty((2, len(horizons), len(course), n), dtype=np.float32)
        for j, (horizon, highest) in enumerate(zip(horizons, _rolled(course, horizons), strict=True)):
            then = levels[:, horizons[-1] - horizon : horizons[-1] - horizon + n]
            np.subtract(course[:, -n:], then, out=out[0, j])
            np.subtract(highest[:, -n:], then, out=out[1, j])
        return out.reshape(-1, len(course), n)

    def _steps(self, minutes: tuple[int, ...]) -> tuple[int, ...]:
        return _all_in_steps(minutes, self._places.step)

    def _cycles(self, periods: IntArray) -> tuple[Float32Array, Float32Array]:
        """What came hours and periods ago, and its ramp; each of shape (2, A, PERIODS_BACK, S)."""
        size, step, horizons = self._places.size, self._places.step, self._places.horizons
        period = np.stack([np.full_like(periods, steps_in(60, step)), periods])[:, None, None]
        first = -(-np.array(horizons)[:, None, None] // period)
        origins = size - 1 - period * (first + np.arange(PERIODS_BACK)[:, None])  # (2, H, PERIODS_BACK, S)
        rows = np.arange(len(self._log))
        begin, end = _windows(origins, level_steps(step), size)
        total = self._sums[rows, end] - self._sums[rows, begin]
        levels = log_mean(total / FINE, self._counts[rows, end] - self._counts[rows, begin])
        columns = origins[..., None] + np.arange(1, horizons[-1] + 1)
        course = self._log[rows[:, None], np.minimum(np.maximum(columns, 0), size - 1)]
        course[origins < self._starts] = np.nan  # nothing is known of an origin before the start
        values = np.stack([course[:, j, ..., h - 1] for j, h in enumerate(horizons)], axis=1)
        peaks = np.stack([np.fmax.reduce(course[:, j, ..., :h], axis=-1) for j, h in enumerate(horizons)], axis=1)
        return np.concatenate([values, peaks], axis=1), np.concatenate([values - levels, peaks - levels], axis=1)

    def _log_means(self, begin: IntArray, end: IntArray) -> Float32Array:
        """Over windows of loads from `begin` to before `end`; shape (S, windows)."""
        total = self._sums.take(end, axis=1) - self._sums.take(begin, axis=1)
        return log_mean(total / FINE, self._counts.take(end, axis=1) - self._counts.take(begin, axis=1))


def _rolled(course: Float32Array, horizons: Sequence[int]) -> list[Float32Array]:
    """Maxima over each horizon's steps, the horizons increasing: (..., C) to (..., C - h + 1), NaN left out."""
    out, reach = [], 1
    for horizon in horizons:
        while reach < horizon:
            by = min(reach, horizon - reach)
            course = np.fmax(course[..., by:], course[..., :-by])
            reach += by
        out.append(course)
    return out


def _extremes(extreme: np.ufunc, table: Float32Array, widths: tuple[int, ...]) -> Float32Array:
    """Highest or lowest of what is known in the last `widths` columns; (..., C) to (widths, ...)."""
    starts, place = _nested(widths)
    parts = extreme.reduceat(table[..., -max(widths) :], starts, axis=-1)
    return _last_first(extreme.accumulate(parts[..., ::-1], axis=-1)[..., place])


def _sums(table: Float32Array, widths: tuple[int, ...]) -> FloatArray:
    """Sums, sums of squares and numbers of what is known in the last columns; (..., C) to (3, widths, ...)."""
    starts, place = _nested(widths)
    table = table[..., -max(widths) :]
    scaled = np.multiply(table, COARSE, dtype=np.float64)
    np.rint(scaled, out=scaled)
    known = ~np.isnan(table)
    if not known.all():
        scaled[~known] = 0.0
    parts = np.empty((3, *table.shape[:-1], len(starts)))
    np.add.reduceat(scaled, starts, axis=-1, out=parts[0])
    np.square(scaled, out=scaled)
    np.add.reduceat(scaled, starts, axis=-1, out=parts[1])
    np.add.reduceat(known, starts, axis=-1, out=parts[2], dtype=np.float64)
    found = parts[..., ::-1].cumsum(axis=-1)[..., place]
    found[0] /= COARSE
    found[1] /= COARSE**2
    return found.transpose(0, -1, *range(1, found.ndim - 1))


@lru_cache(maxsize=256)
def _nested(widths: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Windows up to one end in disjoint parts: where the parts begin in the longest, and which part is each's last."""
    distinct = np.unique(widths)
    return (distinct[-1] - distinct)[::-1], np.searchsorted(distinct, widths)


@lru_cache(maxsize=256)
def _all_in_steps(minutes: tuple[int, ...], step: int) -> tuple[int, ...]:
    return tuple(steps_in(one, step) for one in minutes)


def _last_first(table: NDArray[Any]) -> NDArray[Any]:
    """The last axis as the first."""
    return table.transpose(-1, *range(table.ndim - 1))
